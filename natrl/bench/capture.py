"""Capture: how much of what could be gained a method gains (natrl's measure on tables of trained accuracies)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.transitions import CostMode, Rule
from natrl.spaces import Space

__all__ = ["best_reachable", "capture", "share_gained"]


def best_reachable(
    space: Space, accuracies: Mapping[Architecture, float], rule: Rule = "nat++", cost: CostMode = "strict"
) -> dict[Architecture, float]:
    """For each architecture the highest accuracy among those that one transform reaches, itself included.

    `accuracies` must hold every architecture of a space that lists them, all of one topology. A mask allows each slot's
    primitives independently, so the maximum over the reachable box is taken slot by slot.
    """
    architectures = list(space.architectures())
    shape = (len(space.primitives),) * space.n_slots
    values = np.array([accuracies[a] for a in architectures]).reshape(shape)
    masks = space.batch_masks(
        [architectures[0].with_operations((p,) * space.n_slots) for p in space.primitives], rule, cost
    )  # (K, E, K): what each primitive may become in each slot
    for slot in range(space.n_slots):
        moved = np.moveaxis(values, slot, 0)
        best = np.stack([moved[masks[k, slot]].max(0) for k in range(len(space.primitives))])
        values = np.moveaxis(best, 0, slot)
    return dict(zip(architectures, values.ravel().tolist(), strict=True))


def capture(
    before: Sequence[Architecture],
    after: Sequence[Architecture],
    accuracies: Mapping[Architecture, float],
    best: Mapping[Architecture, float],
) -> float:
    """Σ [acc(α) − acc(β)] / Σ [best reachable from β − acc(β)]: 1 for an oracle, 0 for leaving everything alone.

    `accuracies` are those to report (test), and `best` comes from `best_reachable` on the same. NaN where nothing can
    be gained. ValueError unless every β has one α.
    """
    old, new = ([accuracies[a] for a in architectures] for architectures in (before, after))
    return share_gained(old, new, [best[b] for b in before])


def share_gained(before: Sequence[float], after: Sequence[float], best: Sequence[float]) -> float:
    """`capture` of accuracies: before and after, and the best that each could have had."""
    if len(before) != len(after) or not before:
        raise ValueError(f"capture needs one result for each initial architecture, got {len(after)} for {len(before)}")
    gained = sum(a - b for b, a in zip(before, after, strict=True))
    possible = sum(most - b for b, most in zip(before, best, strict=True))
    return gained / possible if possible > 0 else float("nan")
