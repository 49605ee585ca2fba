"""Connectivity against graphs walked by networkx, on random cells of any shape."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.core.architecture import Architecture, Cell, make_cell, wiring
from natrl.core.connectivity import is_live, live_slots, LivePath, repair, Wiring
from natrl.core.genotypes import zoo
from natrl.spaces import encode, space, wiring_of

Bools = list[bool]


@st.composite
def cells(draw: st.DrawFn, name: str = "a") -> Cell:
    """A valid cell of 1–2 inputs, 1–4 further nodes and 1–2 slots a node, in parallel too."""
    inputs = draw(st.integers(1, 2))
    slots = []
    for node in range(inputs, inputs + draw(st.integers(1, 4))):
        sources = draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=2))
        slots += [("conv_3x3", source, node) for source in sources]
    nodes = sorted({target for _, _, target in slots})
    outputs = draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True))
    cell, _ = make_cell(name, inputs, slots, outputs)
    return cell


@st.composite
def topologies(draw: st.DrawFn) -> tuple[Cell, ...]:
    cell_a = draw(cells("a"))
    topology = (cell_a, draw(cells("b"))) if draw(st.booleans()) else (cell_a,)
    Architecture(topology, ("conv_3x3",) * sum(len(cell.edges) for cell in topology)).validate()
    return topology


def bools(draw: st.DrawFn, topology: Sequence[Cell]) -> Bools:
    n = sum(len(cell.edges) for cell in topology)
    return draw(st.lists(st.booleans(), min_size=n, max_size=n))


def by_cell(topology: Sequence[Cell], values: Sequence[bool]) -> list[tuple[Cell, Sequence[bool]]]:
    parts, start = [], 0
    for cell in topology:
        parts.append((cell, values[start : start + len(cell.edges)]))
        start += len(cell.edges)
    return parts


def fed_and_leading(cell: Cell, active: Sequence[bool]) -> tuple[set[int], set[int]]:
    """The nodes that the cell's inputs reach and those from which its outputs are reached, over active slots."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(cell.nodes))
    graph.add_edges_from(edge for edge, on in zip(cell.edges, active, strict=True) if on)
    fed = set().union(*({node} | nx.descendants(graph, node) for node in range(cell.inputs)))
    leading = set().union(*({node} | nx.ancestors(graph, node) for node in cell.outputs))
    return fed, leading


def cells_live(topology: Sequence[Cell], active: Sequence[bool]) -> Bools:
    """For each cell: an output is reached from an input."""
    return [bool(set(cell.outputs) & fed_and_leading(cell, part)[0]) for cell, part in by_cell(topology, active)]


def owners(topology: Sequence[Cell]) -> list[int]:
    return [c for c, cell in enumerate(topology) for _ in cell.edges]


def batch(values: Sequence[bool]) -> np.ndarray:
    return np.array([values], dtype=bool)


@given(st.data())
def test_live_slots_lie_between_a_fed_and_a_leading_node(data: st.DataObject) -> None:
    topology = data.draw(topologies())
    active = bools(data.draw, topology)
    expected = []
    for cell, part in by_cell(topology, active):
        fed, leading = fed_and_leading(cell, part)
        expected += [on and s in fed and t in leading for (s, t), on in zip(cell.edges, part, strict=True)]
    assert live_slots(batch(active), wiring(topology))[0].tolist() == expected
    assert bool(is_live(batch(active), wiring(topology))[0]) == all(cells_live(topology, active))


@given(st.data())
def test_live_path_refuses_a_null_exactly_where_no_completion_keeps_the_cell(data: st.DataObject) -> None:
    """Every completion of the undecided slots is enumerated; the walk then goes on with any valid choice."""
    topology = data.draw(topologies())
    active = bools(data.draw, topology)
    possible = [on or more for on, more in zip(active, bools(data.draw, topology), strict=True)]
    was_live = cells_live(topology, active)
    path = LivePath(batch(active), batch(possible), wiring(topology))
    decided: Bools = []
    for e, owner in enumerate(owners(topology)):
        rest = [i for i in range(e + 1, len(active)) if possible[i] and owners(topology)[i] == owner]
        completions = (
            [*decided, False, *(i in chosen for i in range(e + 1, len(active)))]
            for flags in product([False, True], repeat=len(rest))
            for chosen in [{i for i, on in zip(rest, flags, strict=True) if on}]
        )
        allowed = not was_live[owner] or any(cells_live(topology, done)[owner] for done in completions)
        assert bool(path.may_null(e)[0]) == allowed
        assert allowed or possible[e], "a slot without any valid choice"
        choice = possible[e] and (not allowed or data.draw(st.booleans()))
        path.decide(e, np.array([choice]))
        decided.append(choice)
    after = cells_live(topology, decided)
    assert all(now or not before for now, before in zip(after, was_live, strict=True))


@given(st.data())
def test_live_path_can_reach_every_live_result(data: st.DataObject) -> None:
    topology = data.draw(topologies())
    result = bools(data.draw, topology)
    active = bools(data.draw, topology)
    possible = [a or b for a, b in zip(active, result, strict=True)]
    ends_live = cells_live(topology, result)
    path = LivePath(batch(active), batch(possible), wiring(topology))
    for e, owner in enumerate(owners(topology)):
        if ends_live[owner] and not result[e]:
            assert path.may_null(e)[0]
        path.decide(e, np.array([result[e]]))


@given(st.data())
def test_repair_keeps_what_is_needed_and_no_more(data: st.DataObject) -> None:
    topology = data.draw(topologies())
    old, new = bools(data.draw, topology), bools(data.draw, topology)
    keep = repair(batch(old), batch(new), wiring(topology))[0].tolist()
    repaired = [n or k for n, k in zip(new, keep, strict=True)]
    was_live, now_live = cells_live(topology, old), cells_live(topology, new)
    after = cells_live(topology, repaired)
    expected: Bools = []
    for e, owner in enumerate(owners(topology)):
        best = [n or k for n, k in zip(new[:e], expected, strict=True)] + [False]
        best += [o or n for o, n in zip(old[e + 1 :], new[e + 1 :], strict=True)]
        needed = was_live[owner] and not now_live[owner] and not cells_live(topology, best)[owner]
        expected.append(old[e] and not new[e] and needed)
        if keep[e]:
            without = [on and i != e for i, on in enumerate(repaired)]
            assert not cells_live(topology, without)[owner], "kept without need"
    assert keep == expected
    assert after == [w or n for w, n in zip(was_live, now_live, strict=True)]


def test_repair_of_vgg_keeps_its_one_path() -> None:
    """VGG is a chain: with everything nulled, all four slots of the path come back and nothing else does."""
    vgg = zoo()["VGG"]
    active = np.array([[op != "null" for op in vgg.operations]])
    assert repair(active, active & False, wiring(vgg.cells)).tolist() == active.tolist()


def test_each_architecture_of_a_batch_is_judged_by_itself() -> None:
    topology = zoo()["VGG"].cells
    everything = np.ones((1, 16), dtype=bool)
    mixed = np.concatenate([everything, everything & False, everything])
    assert is_live(mixed, wiring(topology)).tolist() == [True, False, True]
    keep = repair(np.repeat(everything, 3, 0), mixed, wiring(topology))
    assert keep.any(-1).tolist() == [False, True, False]


@pytest.fixture(scope="module")
def sampled() -> tuple[np.ndarray, np.ndarray, Wiring]:
    """Before and after of 64 random actions in the darts space, (B, E) each, and the wiring."""
    rng = np.random.default_rng(0)
    architectures = [space("darts").sample(rng) for _ in range(64)]
    observation = encode(architectures)
    old = np.array([[op != "null" for op in a.operations] for a in architectures])
    new = old & (rng.random(old.shape) < 0.5)
    return old, new, wiring_of(observation["adjacency"], observation["features"])


def test_torch_tensors_give_the_same_answers(sampled: tuple[np.ndarray, np.ndarray, Wiring]) -> None:
    """Importing torch takes a few seconds."""
    import torch

    old, new, wires = sampled
    old_t, new_t = torch.from_numpy(old), torch.from_numpy(new)
    wires_t = Wiring(*(torch.from_numpy(w) for w in wires))
    assert repair(old, new, wires).any()
    for mine, theirs in (
        (live_slots(new, wires), live_slots(new_t, wires_t)),
        (is_live(new, wires), is_live(new_t, wires_t)),
        (repair(old, new, wires), repair(old_t, new_t, wires_t)),
    ):
        assert theirs.dtype == torch.bool
        assert mine.tolist() == theirs.tolist()
    mine_path, their_path = LivePath(new, old, wires), LivePath(new_t, old_t, wires_t)
    for e in range(old.shape[1]):
        assert mine_path.may_null(e).tolist() == their_path.may_null(e).tolist()
        mine_path.decide(e, new[:, e])
        their_path.decide(e, new_t[:, e])


def test_nothing_given_is_changed(sampled: tuple[np.ndarray, np.ndarray, Wiring]) -> None:
    old, new, wires = sampled
    copies = old.copy(), new.copy(), [w.copy() for w in wires]
    repair(old, new, wires)
    live_slots(new, wires)
    assert (old == copies[0]).all()
    assert (new == copies[1]).all()
    assert all((a == b).all() for a, b in zip(wires, copies[2], strict=True))
