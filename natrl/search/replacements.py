"""Replacements one at a time: what a change of a single slot makes of an architecture. R replacements, E slots."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.operations import operation
from natrl.search.reachable import Reachable
from natrl.spaces import Batch

__all__ = ["Replacements"]


class Replacements:
    """All that one transform of an architecture can do by a change of a single slot.

    What a change leaves without use goes with it (`Space.pruned`): where null takes the place of the first convolution
    of a residual block, the second one is gone too. So a replacement may be of several slots, and several changes may
    make the same one. A change that would cut the last path by itself is none.
    """

    def __init__(self, box: Reachable) -> None:
        self.box = box
        self._own = Batch.of(box.space, [box.architecture]).choices[0]
        self._before = box.space.pruned(Batch.of(box.space, [box.architecture]))
        actions = box.changes(box.architecture)
        made, rows = self._carried_out(actions)
        first = np.sort(np.unique(made.choices, axis=0, return_index=True)[1])
        first = first[(made.choices[first] != self._before.choices).any(-1)]
        self.batch = made.take(first)  # R architectures that differ, none of them the original
        actions = actions[rows[first]]
        self.slots = (actions != self._own).argmax(-1)  # (R,)
        self.primitives = actions[np.arange(len(actions)), self.slots]  # (R,)

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def architectures(self) -> list[Architecture]:
        """R of them, each with one replacement."""
        return list(self.batch)

    @cached_property
    def changed(self) -> np.ndarray:
        """bool (R, E): the slots that each is of."""
        return self.batch.choices != self._before.choices

    @cached_property
    def cost(self) -> np.ndarray:
        """int64 (2,): parameters and MAdds of the original."""
        return self._before.costs[0]

    @cached_property
    def savings(self) -> np.ndarray:
        """int64 (R, 2): the parameters and MAdds that each saves by itself."""
        return self.cost - self.batch.costs

    @cached_property
    def emptying(self) -> np.ndarray:
        """bool (R,): it puts null in the place of something."""
        return (self.changed & self._is_null(self.batch)).any(-1)

    @cached_property
    def filling(self) -> np.ndarray:
        """bool (R,): it puts something in the place of null."""
        return (self.changed & self._is_null(self._before)).any(-1)

    @cached_property
    def narrowing(self) -> np.ndarray:
        """bool (R,): it is a width, of fewer channels."""
        widths = np.array([operation(name).is_width for name in self.batch.space.primitives])
        return (self.changed & widths[self.batch.choices]).any(-1)

    def _is_null(self, batch: Batch) -> np.ndarray:
        primitives = batch.space.primitives
        return batch.choices == (primitives.index("null") if "null" in primitives else -1)

    def together(self, chosen: np.ndarray) -> tuple[Batch, np.ndarray]:
        """What N sets of replacements bool (N, R) make, one a slot, and int64, the rows of those that can be made.

        (Others would cut a last path. An architecture may be that of another set: what is left without use is gone.)
        """
        actions = np.tile(self._own, (len(chosen), 1))
        row, r = np.nonzero(chosen)
        actions[row, self.slots[r]] = self.primitives[r]
        return self._carried_out(actions)

    def _carried_out(self, actions: np.ndarray) -> tuple[Batch, np.ndarray]:
        if not len(actions):
            return self._before.take(slice(0, 0)), np.zeros(0, dtype=np.int64)
        return self.box.carried_out(actions)
