"""Combinations by integer programming: against all there are, on cells and on a network whose costs are no sums."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import natrl
from natrl.core.architecture import Architecture
from natrl.modules.importing import from_module
from natrl.modules.space import ModuleSpace
from natrl.search import program, Reachable
from natrl.search.combinations import best_combinations, Combination
from natrl.search.replacements import Replacements
from natrl.spaces import Space
from natrl.spaces.budget import Budget
from tests.modules.trained import narrow
from tests.search.problems import nasbench201, SPACE


def alone(space: Space, original: Architecture, slot: int, operation: str) -> Architecture:
    """What a change of one slot makes, with what nothing uses then gone."""
    operations = list(original.operations)
    operations[slot] = operation
    return space.prune(original.with_operations(operations))


def everything(space: Space, original: Architecture, effects: dict[Architecture, float]) -> Iterator[Combination]:
    """Every live architecture that replacements with an effect make, one by one, with the sum of their effects."""
    before, rows = space.prune(original), space.masks(original)
    options: list[list[tuple[str, Architecture | None]]] = []
    for e, row in enumerate(rows):
        names = [name for name, allowed in zip(space.primitives, row, strict=True) if allowed]
        others = [(name, alone(space, original, e, name)) for name in names if name != original.operations[e]]
        mine = [(name, a) for name, a in others if a != before and a in effects]
        options.append([(original.operations[e], None), *mine])
    for chosen in product(*options):
        singles = {a for _, a in chosen if a is not None}
        touched = [set(before.changes(a)) for a in singles]
        if sum(map(len, touched)) > len(set().union(*touched)) or len(singles) < sum(a is not None for _, a in chosen):
            continue  # two of one slot, or the same one twice
        made = original.with_operations([name for name, _ in chosen])
        if made.is_live:
            yield Combination(space.prune(made), sum(effects[a] for a in singles))


def check(space: Space, original: Architecture, seed: int, shares: tuple[float | None, float | None], n: int) -> None:
    """The n best within the budget are those that listing everything finds."""
    replacements, rng = Replacements(Reachable(space, original)), np.random.default_rng(seed)
    effects = rng.normal(-0.01, 0.02, len(replacements))
    effects[rng.random(len(effects)) < 0.1] = np.nan
    first = space.cost(original)
    costs = (first.madds, first.params)
    budget = Budget(*(None if share is None else share * cost for share, cost in zip(shares, costs, strict=True)))
    known = {a: e for a, e in zip(replacements.architectures, effects.tolist(), strict=True) if not np.isnan(e)}
    best: dict[Architecture, float] = {}
    for combination in everything(space, original, known):
        if budget.allows(space.cost(combination.architecture)):
            best[combination.architecture] = max(best.get(combination.architecture, -np.inf), combination.effect)
    if not best:
        with suppress(ValueError):
            (found,) = best_combinations(replacements, effects, budget, n)
            assert np.isnan(found.effect)
            assert budget.allows(space.cost(found.architecture))
        return
    found = best_combinations(replacements, effects, budget, n)
    assert all(budget.allows(space.cost(c.architecture)) and c.architecture.is_live for c in found)
    wanted = sorted(best.values(), reverse=True)[:n]
    np.testing.assert_allclose([c.effect for c in found], wanted, atol=1e-9)
    assert len({c.architecture for c in found}) == len(found)
    assert all(best[c.architecture] == pytest.approx(c.effect) for c in found)


SHARES = st.none() | st.floats(0.05, 1.0)


@settings(max_examples=20)
@given(
    digits=st.sampled_from(["312301", "303120", "112033", "403002"]),
    seed=st.integers(0, 10_000),
    shares=st.tuples(SHARES, SHARES),
    n=st.integers(1, 5),
)
def test_cells_against_all_there_are(digits: str, seed: int, shares: tuple, n: int) -> None:
    """NAS-Bench-201's cells, whose null may become a skip."""
    check(SPACE, nasbench201(digits), seed, shares, n)


class Branches(nn.Module):
    """Two branches of two convolutions and a shortcut; what reads the sum of the branches goes with both."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.left, self.left2, self.right, self.right2 = (nn.Conv2d(6, 6, 1, bias=False) for _ in range(4))
        self.shared, self.down = nn.Conv2d(6, 6, 1, groups=6), nn.Conv2d(6, 8, 1, stride=2)
        self.head = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu()
        y = self.shared(self.left2(self.left(x).relu()) + self.right2(self.right(x).relu()))
        return self.head(self.down(x + y).mean((2, 3)))


@cache
def network(name: str) -> ModuleSpace:
    torch.manual_seed(0)
    return from_module(narrow() if name == "residual" else Branches(), torch.zeros(2, 1, 8, 8))


@settings(max_examples=3)
@given(
    name=st.sampled_from(["residual", "branches"]),
    seed=st.integers(0, 10_000),
    shares=st.tuples(SHARES, SHARES),
    n=st.integers(1, 4),
)
def test_networks_against_all_there_are(name: str, seed: int, shares: tuple, n: int) -> None:
    """Costs are no sums there: what becomes unused goes with a null, for which several slots may be needed."""
    space = network(name)
    check(space, space.architecture, seed, shares, n)


def test_a_replacement_is_of_all_slots_that_go_with_it() -> None:
    space = network("residual")
    replacements = Replacements(Reachable(space, space.architecture))
    names = [slot.name for slot in sorted(space.slots, key=lambda slot: slot.index)]
    wires = space.n_slots - len(names)
    several = replacements.changed[replacements.changed.sum(1) > 1]
    assert wires >= 0
    assert [{s.name for s in space.slots if row[s.index]} for row in several] == [{"conv1", "conv2"}]
    block = sum((s.cost.madds for s in space.slots if s.name in ("conv1", "conv2")), 0)
    (saved,) = replacements.savings[replacements.changed.sum(1) > 1]
    assert saved[1] == block
    assert len(set(replacements.architectures)) == len(replacements)


def test_without_replacements_the_original_is_all_there_is() -> None:
    lonely = nasbench201("000100")
    replacements = Replacements(Reachable(SPACE, lonely, rule="nat", cost="live"))
    assert len(replacements) == 0
    assert best_combinations(replacements, np.zeros(0), n=3) == [Combination(lonely, 0.0)]


def test_where_no_scored_replacement_is_cheap_enough_the_cheapest_of_all_is() -> None:
    original = nasbench201("333333")
    replacements = Replacements(Reachable(SPACE, original))
    (found,) = best_combinations(
        replacements, np.full(len(replacements), np.nan), Budget.of(SPACE.cost(original), "20%", None), n=2
    )
    assert np.isnan(found.effect)
    assert SPACE.cost(found.architecture).madds <= 0.2 * SPACE.cost(original).madds


def test_bad_input_says_what_would_be_right() -> None:
    replacements = Replacements(Reachable(natrl.space("nasbench201"), nasbench201("333333")))
    with pytest.raises(ValueError, match=r"expected 24 effects, one a replacement, got shape \(3,\)"):
        best_combinations(replacements, np.zeros(3))
    with pytest.raises(ValueError, match="an effect is a finite number, or NaN"):
        best_combinations(replacements, np.full(24, np.inf))
    with pytest.raises(ValueError, match="n must be at least 1 combination, got 0"):
        best_combinations(replacements, np.zeros(24), n=0)
    with pytest.raises(ValueError, match=r"at most 10 MAdds; the smallest reachable cost is [0-9,]+ MAdds"):
        best_combinations(replacements, np.zeros(24), Budget(madds=10))


def test_what_the_solver_writes_by_itself_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """As HiGHS does at times, through C's own buffer."""
    c = ctypes.CDLL(None)
    print("before", flush=True)
    with program._silent():
        c.puts(b"HighsMipSolverData")
    c.puts(b"after")
    c.fflush(None)
    assert capfd.readouterr().out == "before\nafter\n"
