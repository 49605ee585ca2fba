"""What one transform can make of an architecture. E slots, K primitives."""

from __future__ import annotations

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.transitions import CostMode, Rule
from natrl.spaces import Batch, Space, Transition, transition

__all__ = ["Reachable"]


class Reachable:
    """The architectures that one transform of `architecture` reaches: a box of allowed primitives, one set a slot.

    The rule is transitive, so whatever several transforms reach lies in the box too. Cells that are live in the
    architecture stay live. ValueError if the architecture is not one of the space.
    """

    def __init__(
        self, space: Space, architecture: Architecture, *, rule: Rule = "nat++", cost: CostMode = "strict"
    ) -> None:
        self.space = space
        self.architecture = space.check(architecture)
        self.masks = space.masks(architecture, rule, cost)  # (E, K)

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """n of them: in every slot all allowed primitives are equally likely; nulls that cut the last path are undone.

        The original may be among them.
        """
        ends = self.masks.cumsum(-1) / self.masks.sum(-1, keepdims=True)
        return self.apply(self.architecture, (rng.random((n, len(ends), 1)) >= ends).sum(-1))

    def every(self) -> list[Architecture]:
        """All of them, the original too; a space of few slots alone can be listed so."""
        grids = np.meshgrid(*[np.flatnonzero(row) for row in self.masks], indexing="ij")
        made = self.apply(self.architecture, np.stack([grid.ravel() for grid in grids], axis=-1))
        return list({a.key: a for a in made}.values())

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Those that differ from `architecture`, itself one of them, in a single slot."""
        made = self.apply(architecture, self.changes(architecture))
        return [a for a in made if a.operations != architecture.operations]

    def changes(self, architecture: Architecture) -> np.ndarray:
        """int64 (N, E): every action that changes a single slot of `architecture`, itself one of these."""
        column = {name: k for k, name in enumerate(self.space.primitives)}
        own = np.array([column[op] for op in architecture.operations])
        others = self.masks.copy()
        others[np.arange(len(own)), own] = False
        slots, primitives = np.nonzero(others)
        actions = np.tile(own, (len(slots), 1))
        actions[np.arange(len(slots)), slots] = primitives
        return actions

    def apply(self, architecture: Architecture, actions: np.ndarray) -> list[Architecture]:
        """What actions (N, E) make of the architecture, live cells kept live, without what became unused."""
        return list(self.space.pruned(self._changed(architecture, actions).batch)) if len(actions) else []

    def carried_out(self, actions: np.ndarray) -> tuple[Batch, np.ndarray]:
        """The same of the original, only of those actions none of whose choices is undone; and their rows, int64."""
        changed = self._changed(self.architecture, actions)
        rows = np.flatnonzero(changed.repaired == 0)
        return self.space.pruned(changed.batch.take(rows)), rows

    def _changed(self, architecture: Architecture, actions: np.ndarray) -> Transition:
        masks = np.broadcast_to(self.masks, (len(actions), *self.masks.shape))
        before = Batch.of(self.space, [architecture]).take(np.zeros(len(actions), dtype=np.int64))
        return transition(before, actions, masks)
