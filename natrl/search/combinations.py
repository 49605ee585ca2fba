"""The best combinations of replacements whose effects add up, within a budget, by integer programming.

As LANA (arXiv 2107.10624) and Puzzle (arXiv 2411.19146) choose: one score a single replacement, and of each slot at
most one (natrl.search.program). R replacements.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from natrl.core.architecture import Architecture
from natrl.search.program import Costs, Further, Program
from natrl.search.replacements import Replacements
from natrl.spaces.budget import Budget, cheapest_within

__all__ = ["Combination", "best_combinations"]

IN_VAIN = 256  # combinations in a row that cost more than their sums say and leave a limit


class Combination(NamedTuple):
    """Replacements made together."""

    architecture: Architecture
    effect: float  # the sum of theirs


def best_combinations(
    replacements: Replacements,
    effects: np.ndarray,
    budget: Budget | None = None,
    n: int = 1,
    further: Further | None = None,
) -> list[Combination]:
    """At most n different architectures of the largest sums of effects within the budget, best first; the original too.

    `effects` float (R,): what each replacement by itself adds to the score; NaN: it is not to be made. What is saved
    is exact for one replacement and for two; where more than two leave something out together, or make the same layer
    cheaper, it is a lower bound.
    What comes out is counted as it is: it keeps to the budget, and is live where the original is. Where no combination
    of replacements with an effect does, but something that can be reached, the cheapest is the answer, its effect NaN;
    with `further` costs, which what comes out keeps to as well, there may be no answer, an empty list.
    ValueError on effects of another shape, infinite ones, n below 1, or a budget that nothing reachable keeps to.
    """
    budget = budget or Budget()
    effects = np.asarray(effects, dtype=np.float64)
    if effects.shape != (len(replacements),):
        raise ValueError(f"expected {len(replacements)} effects, one a replacement, got shape {effects.shape}")
    if np.isinf(effects).any():
        raise ValueError("an effect is a finite number, or NaN where there is none")
    if n < 1:
        raise ValueError(f"n must be at least 1 combination, got {n}")
    found: dict[Architecture, Combination] = {}
    for combination in _best_first(Costs(replacements, budget, further or Further.none()), effects):
        found.setdefault(combination.architecture, combination)
        if len(found) == n:
            break
    if found or further is not None:
        return list(found.values())
    box = replacements.box
    cheapest = cheapest_within(budget, box.architecture, box.masks, box.space)
    return [Combination(box.space.prune(cheapest), np.nan)]


def _best_first(costs: Costs, effects: np.ndarray) -> Iterator[Combination]:
    """Combinations within the budget, best first, until there are no more, or `IN_VAIN` in a row do not keep to it."""
    replacements, program, dear = costs.replacements, Program(costs, effects), 0
    while dear < IN_VAIN and (chosen := program.solve()) is not None:
        made, _ = replacements.together(chosen[None])
        if not len(made):
            program.forbid(_fewest_that_cut(replacements, chosen))
            continue
        dear += 1
        if (costs.of(made)[0] <= costs.limits).all():
            dear = 0
            yield Combination(made[0], float(effects[chosen].sum()))
        program.exclude(chosen)


def _fewest_that_cut(replacements: Replacements, chosen: np.ndarray) -> np.ndarray:
    """bool (R,): of these replacements some that cut the last path and of which none can be spared for that."""
    cutting = chosen & (replacements.emptying | replacements.filling)
    for r in np.flatnonzero(cutting & replacements.emptying):
        fewer = cutting.copy()
        fewer[r] = False
        if not len(replacements.together(fewer[None])[0]):
            cutting = fewer
    return cutting
