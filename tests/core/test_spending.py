"""Spending, against every completion there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.core.architecture import Cell, wiring
from natrl.core.connectivity import is_live, Wiring
from natrl.core.spending import Spending

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


@st.composite
def problems(draw, resources):
    cells = [Cell(f"cell {i}", 1, EDGES[: draw(st.integers(1, 4))], ()) for i in range(draw(st.integers(1, 2)))]
    cells = tuple(Cell(c.name, 1, c.edges, (max(t for _, t in c.edges),)) for c in cells)
    slots = sum(len(c.edges) for c in cells)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    costs = rng.integers(0, 6, (slots, 3, 2)).astype(float)
    costs[:, 2] = 0
    if resources == 1:
        costs[:, :, 0] = 0
    old = rng.integers(0, 3, slots)
    mask = rng.random((slots, 3)) < 0.7
    mask[np.arange(slots), old] = True
    limit = float(rng.integers(0, 12))
    budget = np.array([np.inf if resources == 1 else float(rng.integers(0, 12)), limit])
    return cells, costs, budget, mask, old


def live(cells, choices, null=2):
    return bool(is_live((np.asarray(choices) != null)[None], wiring(cells))[0])


def completions(cells, mask, old, prefix):
    """Whole choices that begin with these and cut no cell that was live."""
    kept_cells = []
    start = 0
    for cell in cells:
        part = slice(start, start + len(cell.edges))
        kept_cells.append((part, cell, live((cell,), old[part])))
        start = part.stop
    for rest in product(*[np.flatnonzero(mask[e]) for e in range(len(prefix), len(mask))]):
        whole = np.array([*prefix, *rest])
        if all(live((cell,), whole[part]) for part, cell, was in kept_cells if was):
            yield whole


def decoder(cells, costs, budget, mask, old):
    wires = wiring(cells)
    return Spending(costs[None], budget[None], mask[None], (old != 2)[None], wires, 2)


@given(st.data())
def test_of_one_resource_exactly_what_can_be_finished_is_allowed(data):
    cells, costs, budget, mask, old = data.draw(problems(1))
    spending, prefix = decoder(cells, costs, budget, mask, old), []
    slots = np.arange(len(mask))
    least = min(costs[slots, c, 1].sum() for c in completions(cells, mask, old, []))
    assert spending.least[0, 0, 1] == least
    for e in range(len(mask)):
        possible = {int(c[e]) for c in completions(cells, mask, old, prefix) if costs[slots, c, 1].sum() <= budget[1]}
        allowed, tightness = spending.look(e)
        assert ((tightness >= 0) & (tightness <= 1)).all()
        if least <= budget[1]:
            assert set(np.flatnonzero(allowed[0]).tolist()) == possible
        else:
            assert allowed.sum() == 1
        choice = data.draw(st.sampled_from(np.flatnonzero(allowed[0]).tolist()))
        spending.decide(e, np.array([choice]))
        prefix.append(choice)
    spent = costs[slots, prefix, 1].sum()
    assert spent <= max(budget[1], least)


@given(st.data())
def test_of_two_resources_what_is_allowed_can_be_finished(data):
    cells, costs, budget, mask, old = data.draw(problems(2))
    spending, prefix = decoder(cells, costs, budget, mask, old), []
    slots = np.arange(len(mask))
    fits = bool(((spending.least[0] <= budget).all(-1)).any())
    for e in range(len(mask)):
        allowed, _ = spending.look(e)
        choice = data.draw(st.sampled_from(np.flatnonzero(allowed[0]).tolist()))
        spending.decide(e, np.array([choice]))
        prefix.append(choice)
    assert any((c == prefix).all() for c in completions(cells, mask, old, prefix))
    if fits:
        assert (costs[slots, prefix].sum(0) <= budget).all()


def test_rows_are_decided_each_by_itself():
    rng = np.random.default_rng(0)
    cells = (Cell("a", 1, EDGES, (3,)),)
    costs = rng.integers(0, 6, (4, 6, 3, 2)).astype(float)
    mask = np.ones((4, 6, 3), dtype=bool)
    budget = rng.integers(8, 25, (4, 2)).astype(float)
    wires = wiring(cells)
    together = Spending(
        costs, budget, mask, np.ones((4, 6), dtype=bool), Wiring(*[np.repeat(w, 4, 0) for w in wires]), 2
    )
    alone = [Spending(costs[[i]], budget[[i]], mask[[i]], np.ones((1, 6), dtype=bool), wires, 2) for i in range(4)]
    for e in range(6):
        allowed, tightness = together.look(e)
        for i, one in enumerate(alone):
            assert (one.look(e)[0][0] == allowed[i]).all()
            assert one.look(e)[1][0] == pytest.approx(tightness[i])
        choices = allowed.argmax(-1)
        together.decide(e, choices)
        for i, one in enumerate(alone):
            one.decide(e, choices[[i]])
