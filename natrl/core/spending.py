"""Which choices keep a transform within a budget, slot after slot. NumPy; a budget for each row of a batch.

B batch, E slots, K primitives, R = 2 resources (parameters, MAdds), W ways to finish.
"""

from __future__ import annotations

import numpy as np

from natrl.core.connectivity import LivePath, Wiring

__all__ = ["Spending"]

SECOND = 1e-6  # weight of the other resource, which decides between equals


class Spending:
    """Decoding slot after slot without ever leaving a budget, or cutting the last path (`LivePath`).

    A choice is allowed if the slots after it can still be decided within the budget, and with a path in every cell that
    has one. What they cost at least is known exactly: each takes its cheapest choice, and in each cell that has no path
    yet the shortest one from what is reached to an output must become active, where the length of a slot is what its
    cheapest active choice costs more. Of one limited resource this is exact. With two limited ones three ways to finish
    are tried (fewest parameters, fewest MAdds, least share of both limits), so what is allowed can be finished, and
    some of what could be finished at the limits of both may be forbidden. Where nothing fits, the way of the least
    share is the one that is allowed. `least` (B, W, R): what the slots cost at the end of each way.
    """

    least: np.ndarray

    def __init__(
        self,
        costs: np.ndarray,
        budget: np.ndarray,
        mask: np.ndarray,
        active: np.ndarray,
        wiring: Wiring,
        null: int | None,
    ) -> None:
        """`costs` float (B, E, K, R); `budget` float (B, R), what slots may cost in all, infinite = unlimited.

        `mask` bool (B, E, K); `active` bool (B, E): the old operation is not null, the primitive number `null`.
        """
        self._costs, self._budget, self._mask, self._null = costs, budget, mask, null
        self._wiring = wiring
        n, slots, k, _ = costs.shape
        self._rows = np.arange(n)
        self._spent = np.zeros_like(budget)
        weights = self._weights(n)  # (B, W, R)
        price = np.where(mask[:, None], np.einsum("bekr,bwr->bwek", costs, weights), np.inf)
        self._price = price
        is_active = np.arange(k) != null
        fewest, fewest_active = price.argmin(-1), np.where(is_active, price, np.inf).argmin(-1)
        length = self._of(np.where(is_active, price, np.inf), fewest_active) - self._of(price, fewest)  # (B, W, E)
        spent, spent_active = self._cost_of(fewest), self._cost_of(fewest_active)  # (B, W, E, R)
        self._length, self._more = self._onwards(length, spent_active - spent)
        self._rest = np.zeros((n, weights.shape[1], slots + 1, costs.shape[-1]))
        self._rest[:, :, :slots] = spent[:, :, ::-1].cumsum(2)[:, :, ::-1]
        self._paths = LivePath(active, (mask & is_active).any(-1), wiring)
        self._later = self._of_later_cells()
        span = np.where(mask[..., None], costs, -np.inf).max(2) - np.where(mask[..., None], costs, np.inf).min(2)
        self._span = span  # (B, E, R): the dearest choice less the cheapest
        self._spans = np.zeros((n, slots + 1, costs.shape[-1]))
        self._spans[:, :slots] = span[:, ::-1].cumsum(1)[:, ::-1]

    def _weights(self, n: int) -> np.ndarray:
        """(B, W, R): what is least in each way to finish. One way where one resource is limited, or none."""
        limited = np.isfinite(self._budget).any(0)
        resources = self._budget.shape[1]
        own = np.where(np.eye(resources, dtype=bool), 1.0, SECOND)
        if limited.sum() <= 1:
            return np.broadcast_to(own[[int(limited.argmax())]], (n, 1, resources))
        share = 1 / np.maximum(np.where(np.isfinite(self._budget), self._budget, np.inf), 1e-300)
        share = share / np.maximum(share.max(1, keepdims=True), 1e-300)
        return np.concatenate([np.broadcast_to(own, (n, resources, resources)), share[:, None]], axis=1)

    @staticmethod
    def _of(values: np.ndarray, choices: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, choices[..., None], -1)[..., 0]

    def _cost_of(self, choices: np.ndarray) -> np.ndarray:
        """(B, W, E, R) of choices (B, W, E)."""
        slots = np.arange(choices.shape[-1])
        return self._costs[self._rows[:, None, None], slots, choices]

    def _onwards(self, length: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Length (B, W, E) and cost (B, W, E, R) of the shortest path from each slot on to an output of its cell."""
        total, cost = np.full_like(length, np.inf), np.zeros_like(more)
        for i in reversed(range(length.shape[-1])):
            tail, tail_cost = self._shortest(total, cost, self._wiring.adjacency[:, i])
            ends = self._wiring.exits[:, i, None]
            total[:, :, i] = length[:, :, i] + np.where(ends, 0.0, tail)
            cost[:, :, i] = more[:, :, i] + np.where(ends[..., None], 0.0, tail_cost)
        return total, cost

    @staticmethod
    def _shortest(length: np.ndarray, cost: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Length (B, W), infinite if there is none, and cost (B, W, R) of the shortest of the slots `among` (B, E)."""
        if not length.shape[-1]:
            return np.full(length.shape[:2], np.inf), np.zeros((*length.shape[:2], cost.shape[-1]))
        open_ = np.where(among[:, None], length, np.inf)
        first = open_.argmin(-1)
        found = np.take_along_axis(open_, first[..., None], -1)[..., 0]
        return found, np.take_along_axis(cost, first[..., None, None], 2)[:, :, 0]

    def _of_later_cells(self) -> np.ndarray:
        """(B, W, E, R): what the shortest paths of the cells after that of each slot cost in all. And sets `least`."""
        cells = self._wiring.cells
        later, self.least = np.zeros_like(self._more), self._rest[:, :, 0].copy()
        for c in range(cells.shape[-1]):
            mine = cells[:, :, c]
            needs = (mine & ~self._paths.free).any(-1)  # (B,)
            _, cost = self._shortest(self._length, self._more, mine & self._wiring.entries)
            self.least += np.where(needs[:, None, None], cost, 0.0)
            earlier = np.cumsum(mine[:, ::-1], 1)[:, ::-1].astype(bool) & ~mine  # the slots of earlier cells
            before = earlier & needs[:, None]
            later += np.where(before[:, None, :, None], cost[:, :, None], 0.0)
        return later

    def _totals(self, e: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each choice of slot e, with the cheapest completion: cost (B, W, K, R) and price (B, W, K)."""
        paths, length, more = self._paths, self._length, self._more
        others = paths.fed[:, e + 1 :] & paths.same_cell[:, e, e + 1 :]
        without = self._shortest(length[:, :, e + 1 :], more[:, :, e + 1 :], others)
        free, fed, ends = (flag[:, e, None] for flag in (paths.free, paths.fed, self._wiring.exits))
        without = np.where(free, 0.0, without[0]), np.where(free[..., None], 0.0, without[1])
        tail = self._shortest(length, more, self._wiring.adjacency[:, e])
        tail = np.where(ends, 0.0, tail[0]), np.where(ends[..., None], 0.0, tail[1])
        through = fed & (tail[0] < without[0])
        active = np.where(through, tail[0], without[0]), np.where(through[..., None], tail[1], without[1])
        is_null = np.arange(self._costs.shape[2]) == self._null
        length_k = np.where(is_null, without[0][..., None], active[0][..., None])
        cost_k = np.where(is_null[:, None], without[1][:, :, None], active[1][:, :, None])
        done = (self._spent[:, None] + self._rest[:, :, e + 1] + self._later[:, :, e])[:, :, None]
        return done + cost_k + self._costs[:, None, e], self._price[:, :, e] + length_k

    def look(self, e: int, tolerance: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """What slot e may become, bool (B, K), given the choices before; and how tight the budget is, (B, R, 2).

        `tolerance`: of the limits, a share by which sums that were rounded may exceed them. Tightness, in [0, 1]: what
        is left beyond the cheapest completion, as a share of what the undecided slots could spend beyond it, and in
        units of what this slot could (half of it: 1 unit; 1: two and more). 1 where nothing is limited.
        """
        total, price = self._totals(e)
        possible = self._mask[:, e] & np.isfinite(price).all(1)
        limit = (self._budget * (1 + tolerance))[:, None, None]
        allowed: np.ndarray = possible & np.all(total <= limit, axis=-1).any(1)
        stuck = ~allowed.any(-1)
        if stuck.any():
            allowed[stuck, price[stuck, -1].argmin(-1)] = True
        ways = np.minimum(np.arange(self._budget.shape[1]), total.shape[1] - 1)
        least = np.where(possible[:, None, :, None], total, np.inf).min(2)[:, ways, np.arange(len(ways))]  # (B, R)
        left = np.maximum(self._budget - least, 0.0)
        share = np.minimum(left / np.maximum(self._spans[:, e], 1e-12), 1.0)
        units = np.minimum(left / np.maximum(2 * self._span[:, e], 1e-12), 1.0)
        return allowed, np.stack([share, units], axis=-1)

    def decide(self, e: int, choices: np.ndarray) -> None:
        """Records the choice (B,) of slot e."""
        self._spent = self._spent + self._costs[self._rows, e, choices]
        self._paths.decide(e, choices != self._null if self._null is not None else choices >= 0)
