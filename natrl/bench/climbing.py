"""Steepest ascent of many architectures at once, on scores that cost nothing. N architectures, E slots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from natrl.core.transitions import CostMode, Rule
from natrl.spaces import Batch, transition

__all__ = ["climb", "varied"]

STEPS = 100


def climb(
    batch: Batch, score: Callable[[Batch], np.ndarray], *, rule: Rule = "nat++", cost: CostMode = "strict"
) -> Batch:
    """From each architecture the best change of a slot by `score` (float (N,)), repeated until none helps.

    Whatever it makes is reachable by one transform, live where the original is, and no more expensive.
    """
    masks = batch.masks(rule, cost)
    choices = batch.choices.copy()
    scores = np.array(score(batch), dtype=np.float64)
    moving = np.arange(len(batch))
    for _ in range(STEPS):
        row, slot, primitive = np.nonzero(masks[moving])
        differs = choices[moving[row], slot] != primitive
        row, slot, primitive = moving[row[differs]], slot[differs], primitive[differs]
        if not len(row):
            break
        actions = choices[row]
        actions[np.arange(len(row)), slot] = primitive
        made = transition(batch.take(row).with_choices(choices[row]), actions, masks[row]).batch
        found = score(made)
        order = np.lexsort((-found, row))
        first = order[np.unique(row[order], return_index=True)[1]]
        better = first[found[first] > scores[row[first]] + 1e-12]
        moving = row[better]
        choices[moving], scores[moving] = made.choices[better], found[better]
        if not len(moving):
            break
    return batch.space.pruned(batch.with_choices(choices))


def varied(
    batch: Batch,
    share: float,
    rng: np.random.Generator,
    origin: Batch,
    *,
    rule: Rule = "nat++",
    cost: CostMode = "strict",
) -> Batch:
    """The batch with this share of its slots drawn anew from what `origin`'s masks allow, cells kept live."""
    masks = origin.masks(rule, cost)
    ends = masks.cumsum(-1) / masks.sum(-1, keepdims=True)
    drawn = (rng.random((*batch.choices.shape, 1)) >= ends).sum(-1)
    actions = np.where(rng.random(drawn.shape) < share, drawn, batch.choices)
    return batch.space.pruned(transition(origin, actions, masks).batch)
