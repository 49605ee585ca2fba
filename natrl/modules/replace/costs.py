"""What a network costs with other operations in its slots: a sum over slots, less what nulls leave out.

E slots, V vocabulary, K primitives, B architectures, L layers that can be left out (natrl.modules.replace.leftovers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from natrl.core.operations import Cost, VOCABULARY_INDEX
from natrl.modules.replace.leftovers import Leftovers
from natrl.modules.replace.width_costs import WidthCosts
from natrl.spaces.counting import CostTable

__all__ = ["NetworkCosts"]


class NetworkCosts:
    """Parameters and MAdds of one network's architectures.

    `prices` is a table for whoever needs a sum over slots: a slot that can be null has the costs of the layers that go
    where it alone is null. It is never below the cost, and above it only where layers go with several slots together,
    and where layers get narrower (`WidthCosts.bound`).
    """

    def __init__(
        self,
        table: CostTable,
        primitives: Sequence[str],
        slots: Mapping[int, str],
        leftovers: Leftovers,
        widths: WidthCosts | None = None,
    ) -> None:
        """`table` without what is left out or gets narrower; `slots`: names by number, without wires."""
        self.prices = table
        self.rest = False  # whether layers that cost something go with several slots together
        self._table, self._slots, self.leftovers, self.widths = table, dict(slots), leftovers, widths
        self._columns = np.array([VOCABULARY_INDEX[name] for name in primitives])
        self._null = list(primitives).index("null")
        self._left = np.array([(cost.params, cost.madds) for cost in leftovers.costs.values()], dtype=np.int64).reshape(
            -1, 2
        )

    def of(self, choices: np.ndarray) -> np.ndarray:
        """int64 (B, 2): parameters and MAdds with primitives `choices` int (B, E)."""
        fixed = np.array((self._table.fixed.params, self._table.fixed.madds))
        costs = fixed + self._table.slots[np.arange(choices.shape[1]), self._columns[choices]].sum(1)
        if self.widths is None and not (choices == self._null).any():
            return costs
        gone = self.all_gone(choices)
        costs = costs - gone @ self._left
        return costs if self.widths is None else costs + self.widths.of(choices, gone)

    def gone(self, choices: np.ndarray) -> list[str]:
        """The layers that are left out with primitives `choices` int (E,)."""
        return [name for name, out in zip(self.leftovers.costs, self.all_gone(choices[None])[0], strict=True) if out]

    def untrained(self, choices: np.ndarray) -> set[str]:
        """The parameters that no gradient reaches any more with primitives `choices` int (E,)."""
        return self.leftovers.untrained(self._nulls(choices[None]))

    def _nulls(self, choices: np.ndarray) -> dict[str, np.ndarray]:
        return {name: choices[:, index] == self._null for index, name in self._slots.items()}

    def all_gone(self, choices: np.ndarray) -> np.ndarray:
        """int64 (B, L), 0 or 1: which layers are left out with primitives `choices` int (B, E)."""
        gone = self.leftovers.gone(self._nulls(choices), len(choices))
        return np.array([*gone.values()], dtype=np.int64).reshape(len(gone), len(choices)).T

    def price(self, alone: Mapping[int, np.ndarray], possible: np.ndarray) -> None:
        """Works out `prices`. `alone`: for slots that can be null, the architecture's choices (E,) where only it is.

        `possible` bool (E, K): what slots can hold.
        """
        params, madds, slots = self._table.fixed.params, self._table.fixed.madds, self._table.slots.copy()
        waiting = {name for name, cost in self.leftovers.costs.items() if cost != Cost()}
        gone = {index: waiting & set(self.gone(choices)) for index, choices in alone.items()}
        for index in sorted(gone, key=lambda index: len(gone[index])):
            for name in waiting & gone[index]:
                cost = self.leftovers.costs[name]
                params, madds = params - cost.params, madds - cost.madds
                slots[index] += (cost.params, cost.madds)
                slots[index, VOCABULARY_INDEX["null"]] = 0
            waiting -= gone[index]
        for index, bounds in ({} if self.widths is None else self.widths.bound(possible)).items():
            for name, bound in bounds.items():
                slots[index, VOCABULARY_INDEX[name]] = bound
            most = -np.min([*bounds.values()], axis=0)  # that the widths save
            slots[index] += most  # a cost of the slot, so that none is below 0
            params, madds = params - int(most[0]), madds - int(most[1])
        self.prices, self.rest = CostTable(Cost(params, madds), slots), bool(waiting)
