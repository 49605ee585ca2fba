"""What transforms of a batch of architectures may spend. N rows, E slots, K primitives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.connectivity import Wiring
from natrl.core.operations import VOCABULARY_INDEX
from natrl.core.spending import Spending
from natrl.spaces.batch import Batch

__all__ = ["Budgeted"]


class Budgeted(NamedTuple):
    """What N transforms may spend."""

    fixed: np.ndarray  # float64 (N, 2): what does not depend on operations
    prices: np.ndarray  # float64 (N, E, K, 2): what each primitive costs in each slot
    limits: np.ndarray  # float64 (N, 2): what the network may cost; infinite where nothing is said

    @classmethod
    def of(cls, batch: Batch, limits: np.ndarray) -> Budgeted:
        """Transforms of these architectures within `limits` float (N, 2) or (2,)."""
        space = batch.space
        distinct, row = batch.topologies.distinct
        first = (space.primitives[0],) * space.n_slots
        tables = [space.cost_table(Architecture(cells, first)) for cells in distinct]
        columns = [VOCABULARY_INDEX[name] for name in space.primitives]
        fixed = np.array([(t.fixed.params, t.fixed.madds) for t in tables], dtype=float)
        prices = np.stack([t.slots[:, columns].astype(float) for t in tables])
        rows = np.broadcast_to(row, (len(batch),))
        return cls(fixed[rows], prices[rows], np.broadcast_to(limits, (len(batch), 2)).astype(float))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The entries of observations: costs float64 (N, E, K, 2) and budget (N, 2)."""
        return {"costs": self.prices.copy(), "budget": self.slots}

    @property
    def slots(self) -> np.ndarray:
        """float64 (N, 2): what the slots may cost."""
        return self.limits - self.fixed

    def spending(self, states: Batch, masks: np.ndarray) -> Spending:
        """A transform of the states, to be decided slot after slot; `masks` bool (N, E, K)."""
        primitives = states.space.primitives
        null = primitives.index("null") if "null" in primitives else None
        wiring, n = states.topologies.wiring, len(states)
        wiring = wiring if len(wiring.entries) == n else Wiring(*[np.repeat(part, n, 0) for part in wiring])
        active = states.choices != (-1 if null is None else null)
        return Spending(self.prices, self.slots, masks, active, wiring, null)

    def least(self, states: Batch, masks: np.ndarray) -> np.ndarray:
        """float64 (N, 3, 2): what costs least, by parameters, by MAdds, and by the shares of both limits."""
        finite = np.where(np.isfinite(self.limits), self.limits, states.costs)
        deciding = self._replace(limits=np.maximum(finite, self.fixed + 1)).spending(states, masks)
        return self.fixed[:, None] + deciding.least

    def within(self, masks: np.ndarray) -> np.ndarray:
        """The masks (N, E, K) without what is beyond the budget even where all other slots cost the least they can."""
        costs = np.where(masks[..., None], self.prices, np.inf)
        least = costs.min(2)  # (N, E, 2)
        others = least.sum(1, keepdims=True) - least
        return masks & (self.prices + others[:, :, None] <= self.slots[:, None, None]).all(-1)

    def exceeded(self, choices: np.ndarray) -> np.ndarray:
        """bool (N,): primitives int (N, E) that cost more than the slots may."""
        n, slots = choices.shape
        spent = self.prices[np.arange(n)[:, None], np.arange(slots), choices].sum(1)
        return (spent > self.slots).any(-1)

    def enforced(self, before: Batch, choices: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The choices int (N, E) with later ones undone that exceed the budget, and int64 (N,), how many those are."""
        undone = np.zeros(len(choices), dtype=np.int64)
        rows = np.flatnonzero(self.exceeded(choices))
        if not rows.size:
            return choices, undone
        states = before.take(rows)
        deciding = self.take(rows).spending(states, masks[rows])
        kept, at = choices.copy(), np.arange(len(rows))
        for e in range(choices.shape[1]):
            allowed, _ = deciding.look(e)
            wanted, old = choices[rows, e], states.choices[:, e]
            choice = np.where(allowed[at, wanted], wanted, np.where(allowed[at, old], old, allowed.argmax(-1)))
            deciding.decide(e, choice)
            kept[rows, e] = choice
        undone[rows] = (kept[rows] != choices[rows]).sum(-1)
        return kept, undone

    def take(self, rows: np.ndarray) -> Budgeted:
        """Those of some episodes."""
        return Budgeted(self.fixed[rows], self.prices[rows], self.limits[rows])
