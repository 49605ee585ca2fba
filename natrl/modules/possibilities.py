"""What the slots of a network can hold and become, and why not.

E slots of an architecture, K primitives, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from natrl.core.operations import Operation, VOCABULARY, VOCABULARY_INDEX
from natrl.core.transitions import check_choice, CostMode, is_transition, Rule, transition_matrix
from natrl.modules.replace.costs import NetworkCosts
from natrl.modules.replace.rules import Choice
from natrl.modules.replace.widths import WidthSlot
from natrl.modules.slots import LAYER_PRIMITIVES, ModuleSlot, NULL, SKIP

__all__ = ["Possibilities"]


class Possibilities:
    """What slots can `be`, bool (E, K); which can `be_pruned`, bool (E,): null where nothing uses them; `become`."""

    def __init__(
        self,
        primitives: Sequence[str],
        n_slots: int,
        slots: Sequence[ModuleSlot],
        widths: Sequence[WidthSlot],
        choices: Mapping[str, Mapping[str, Choice]],
        costs: NetworkCosts,
    ) -> None:
        """`choices`: by slot and primitive. Where there is neither slot nor width are wires."""
        self.choices = choices
        self._primitives, self._costs = tuple(primitives), costs
        self.be = np.zeros((n_slots, len(primitives)), dtype=bool)
        self.be_pruned = np.zeros(n_slots, dtype=bool)
        self.be[:, SKIP] = True  # wires
        for slot in slots:
            mine = choices[slot.name]
            self.be[slot.index, : len(LAYER_PRIMITIVES)] = [mine[p].reason is None for p in LAYER_PRIMITIVES]
            self.be_pruned[slot.index] = slot.calls == 1 and mine["null"].builds
        for width in widths:
            self.be[width.index] = [p in width.sizes for p in primitives]
            self.be_pruned[width.index] = True
        self._wires = np.ones(n_slots, dtype=bool)
        self._wires[[slot.index for slot in slots] + [width.index for width in widths]] = False
        self._become: dict[tuple[Rule, CostMode], np.ndarray] = {}

    def become(self, rule: Rule, cost: CostMode) -> np.ndarray:
        """bool (E, V, K): [slot, vocabulary index of the operation held, primitive], where no layer is narrower."""
        found = self._become.get((rule, cost))
        if found is None:
            check_choice("cost mode", cost, CostMode)
            columns = [VOCABULARY_INDEX[p] for p in self._primitives]
            states = self.be.copy()
            states[:, NULL] |= self.be_pruned
            allowed = transition_matrix(self._primitives, rule) & states[:, :, None] & self.be[:, None, :]
            if cost != "rule":
                costs = self._costs.prices.slots[:, columns]  # (E, K, 2)
                allowed &= (costs[:, None] <= costs[:, :, None]).all(-1)
                allowed[:, NULL, SKIP] &= not self._costs.rest
            allowed |= states[:, :, None] & np.eye(len(self._primitives), dtype=bool)
            found = np.zeros((len(self.be), len(VOCABULARY), len(self._primitives)), dtype=bool)
            found[:, columns] = allowed
            found[self._wires] = False
            found[self._wires, VOCABULARY_INDEX["skip_connect"], SKIP] = True
            self._become[rule, cost] = found
        return found

    def masks(self, ops: np.ndarray, rule: Rule, cost: CostMode) -> np.ndarray:
        """bool (B, E, K): what slots can become that hold the operations of vocabulary indices `ops` int (B, E).

        No layer becomes what costs more with the channels that it has. So no transform costs more, since with fewer
        channels as well whatever it becomes costs less.
        """
        masks = self.become(rule, cost)[np.arange(len(self.be)), ops]
        if self._costs.widths is not None and cost != "rule":
            for index, fine in self._costs.widths.no_dearer(ops):
                masks[:, index] &= fine
        return masks

    def reason(
        self,
        place: ModuleSlot | WidthSlot,
        old: Operation,
        new: Operation,
        rule: Rule = "nat++",
        cost: CostMode = "strict",
    ) -> str | None:
        """Why what a slot or a group of channels holds cannot become an operation; None if it can."""
        if isinstance(place, ModuleSlot) and new.name not in LAYER_PRIMITIVES:
            return f"{new.name} takes the place of no single layer"
        if new == old:
            return None
        if isinstance(place, WidthSlot) and new.name not in place.sizes:
            known = ", ".join(f"{op} ({size})" for op, size in place.sizes.items())
            return f"it has {place.group.channels} channels, and the widths {known}"
        if not is_transition(old, new, rule):
            return f"no rule lets {old.name} become {new.name}"
        return None if isinstance(place, WidthSlot) else self._reason_of_layer(place, old.name, new.name, rule, cost)

    def _reason_of_layer(self, slot: ModuleSlot, old: str, new: str, rule: Rule, cost: CostMode) -> str | None:
        if (why := self.choices[slot.name][new].reason) is not None or cost == "rule":
            return why
        if old == "null" and self._costs.rest:
            return "it could bring back other layers, which were left out with what became null"
        prices = self._costs.prices.slots[slot.index]
        return _dearer(prices[VOCABULARY_INDEX[old]], prices[VOCABULARY_INDEX[new]])


def _dearer(old: np.ndarray, new: np.ndarray) -> str | None:
    """Why a replacement costs more, int64 (2,) each; None if it does not."""
    for what, before, after in zip(("parameters", "MAdds"), old.tolist(), new.tolist(), strict=True):
        if after > before:
            return f"it would cost more: {after:,} instead of {before:,} {what}"
    return None
