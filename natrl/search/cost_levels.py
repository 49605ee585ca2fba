"""Uniform draws among all choices of a given total cost. E slots, K primitives, S sums, N draws."""

from __future__ import annotations

import numpy as np

__all__ = ["CostLevels"]

MOST_SUMS = 2**16  # different sums that are told apart


class CostLevels:
    """One allowed primitive a slot, by what they cost together.

    Slot after slot, the sums that the slots so far can make and the share of their choices that makes each; a draw goes
    back from the last slot to the first. So every choice of a level is equally likely, however many there are. Where
    more than 65,536 sums differ, costs are rounded so that no more do: then a level holds nearly equal costs.
    """

    def __init__(self, costs: np.ndarray, masks: np.ndarray) -> None:
        """`costs` int (E, K), `masks` bool (E, K) with at least one True a slot."""
        self._masks = masks
        self._costs = costs
        tables = _tables(costs, masks)
        if tables is None:
            reach = np.where(masks, costs, costs.min()).max(-1) - np.where(masks, costs, costs.max()).min(-1)
            unit = -(-2 * int(reach.sum()) // MOST_SUMS)
            self._costs = (costs + unit // 2) // unit * unit
            tables = _tables(self._costs, masks)
            assert tables is not None, "sums of whole units within the reach are few"
        *self._before, (self.sums, self.shares) = tables  # int64 (S,), rising; float64 (S,), summing to 1

    def draw(self, sums: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """int64 (N, E): for each of N of `self.sums` a choice that makes it, all that do equally likely."""
        left = sums.copy()
        drawn = np.empty((len(sums), len(self._costs)), dtype=np.int64)
        for e in reversed(range(len(self._costs))):
            known, shares = self._before[e]
            before = left[:, None] - self._costs[e]  # (N, K)
            place = np.searchsorted(known, before).clip(max=len(known) - 1)
            weights = np.where(self._masks[e] & (known[place] == before), shares[place], 0.0)
            ends = weights.cumsum(-1)
            drawn[:, e] = (rng.random((len(sums), 1)) * ends[:, -1:] >= ends).sum(-1)
            left -= self._costs[e, drawn[:, e]]
        return drawn


def _tables(costs: np.ndarray, masks: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """For 0 … E slots the sums and the share of choices that makes each; None where too many sums differ."""
    sums: np.ndarray = np.zeros(1, dtype=np.int64)
    shares: np.ndarray = np.ones(1)
    tables = [(sums, shares)]
    for cost, mask in zip(costs, masks, strict=True):
        different, times = np.unique(cost[mask], return_counts=True)
        every, place = np.unique(sums[:, None] + different, return_inverse=True)
        if len(every) > MOST_SUMS:
            return None
        weights = shares[:, None] * (times / times.sum())
        sums, shares = every, np.bincount(place.ravel(), weights.ravel())
        tables.append((sums, shares))
    return tables
