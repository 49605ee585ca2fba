"""What of a batch of architectures does not depend on their operations, as arrays.

N architectures, U topologies that differ, E slots, K primitives, F features. Arrays have the first axis N, or 1 where
all N share one topology: they broadcast, and what was worked out for the topology is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from natrl.core.architecture import Architecture, Cell
from natrl.core.connectivity import live_slots, repair, Wiring
from natrl.core.operations import VOCABULARY_INDEX
from natrl.spaces.counting import cost_table
from natrl.spaces.encoding import distinct_cells, encode_cells, wiring_of
from natrl.spaces.skeleton import Skeleton

__all__ = ["Topologies"]

#: Up to so many slots the 4^E repairs of a topology are remembered in an array.
REMEMBERED_SLOTS = 8
UNKNOWN = -1
BITS = 1 << np.arange(REMEMBERED_SLOTS)

Cells = tuple[Cell, ...]


class _Distinct:
    """The arrays of U topologies; what costs need is kept for each network asked for."""

    def __init__(self, cells: tuple[Cells, ...]) -> None:
        self.cells = cells
        self._costs: dict[tuple[tuple[str, ...], Skeleton], tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def encoded(self) -> tuple[np.ndarray, np.ndarray]:
        """adjacency int8 (U, E, E) and features float32 (U, E, F)."""
        return encode_cells(self.cells)

    @cached_property
    def strides(self) -> np.ndarray:
        """int64 (U, E)."""
        return np.array([[slot.stride for slot in Architecture(cells, ()).slots] for cells in self.cells])

    @cached_property
    def ends(self) -> np.ndarray:
        """int64 (U, E, 3): number of the cell, the node read and the node written of each slot."""
        return np.array([[(c, *edge) for c, cell in enumerate(cells) for edge in cell.edges] for cells in self.cells])

    @cached_property
    def repairs(self) -> np.ndarray:
        """int64 (4^E,): of one topology, the slots to keep as bits, by active slots before and after; or UNKNOWN."""
        return np.full(4 ** self.strides.shape[1], UNKNOWN, dtype=np.int64)

    def costs(self, primitives: tuple[str, ...], skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
        """int64 (U, 2), what does not depend on operations, and (U, E, K, 2): parameters and MAdds."""
        wanted = primitives, skeleton
        found = self._costs.get(wanted)
        if found is None:
            tables = [cost_table(cells, skeleton) for cells in self.cells]
            columns = [VOCABULARY_INDEX[p] for p in primitives]
            fixed = np.array([(t.fixed.params, t.fixed.madds) for t in tables], dtype=np.int64)
            found = self._costs[wanted] = fixed, np.stack([t.slots[:, columns] for t in tables])
        return found


@lru_cache(maxsize=1024)
def _one(cells: Cells) -> _Distinct:
    return _Distinct((cells,))


class Topologies:
    """The topologies of N architectures with equally many slots."""

    def __init__(self, distinct: _Distinct, row: np.ndarray | None) -> None:
        self._distinct = distinct
        self._row = row  # int (N,): which of the U each architecture has; None where U is 1

    @classmethod
    def of(cls, architectures: Sequence[Architecture]) -> Topologies:
        """ValueError on different numbers of slots, or more cells than can be told apart."""
        cells, row = distinct_cells(architectures)
        return cls.shared(cells[0]) if len(cells) == 1 else cls(_Distinct(tuple(cells)), np.array(row, dtype=int))

    @classmethod
    def shared(cls, cells: Cells) -> Topologies:
        """One topology for all."""
        return cls(_one(cells), None)

    @property
    def cells(self) -> Cells | None:
        """The topology that all share, None where they do not."""
        return self._distinct.cells[0] if self._row is None else None

    @property
    def distinct(self) -> tuple[tuple[Cells, ...], np.ndarray]:
        """The U topologies that may differ, and int (N or 1,) which of them each architecture has."""
        return self._distinct.cells, np.zeros(1, dtype=int) if self._row is None else self._row

    def cells_of(self, index: int) -> Cells:
        """The topology of one architecture."""
        return self._distinct.cells[0 if self._row is None else self._row[index]]

    def take(self, indices: np.ndarray | slice) -> Topologies:
        """Those of the architectures at `indices`."""
        return self if self._row is None else Topologies(self._distinct, self._row[indices])

    def _rows(self, array: np.ndarray) -> np.ndarray:
        return array if self._row is None else array[self._row]

    @property
    def adjacency(self) -> np.ndarray:
        """int8 (N or 1, E, E): [b, i, j] = 1 where slot j reads the node that slot i writes."""
        return self._rows(self._distinct.encoded[0])

    @property
    def features(self) -> np.ndarray:
        """float32 (N or 1, E, F): `natrl.spaces.FEATURES`."""
        return self._rows(self._distinct.encoded[1])

    @cached_property
    def strides(self) -> np.ndarray:
        """int64 (N or 1, E)."""
        return self._rows(self._distinct.strides)

    @cached_property
    def wiring(self) -> Wiring:
        """bool; batch size N or 1."""
        return wiring_of(self.adjacency, self.features)

    def costs(self, choices: np.ndarray, primitives: tuple[str, ...], skeleton: Skeleton) -> np.ndarray:
        """int64 (N, 2): parameters and MAdds of the networks with primitives `choices` int (N, E)."""
        fixed, slots = self._distinct.costs(primitives, skeleton)
        slot = np.arange(choices.shape[1])
        row = 0 if self._row is None else self._row[:, None]
        return self._rows(fixed) + slots[row, slot, choices].sum(1)

    def kept(self, old: np.ndarray, new: np.ndarray) -> np.ndarray | None:
        """bool (N, E): slots that must keep their operation so that no live cell is cut (`connectivity.repair`).

        `old` and `new`, bool (N, E), are the slots that hold an operation other than null before and after. None where
        nothing must be kept and that was known.
        """
        slots = old.shape[1]
        if self._row is not None or slots > REMEMBERED_SLOTS:
            return repair(old, new, self.wiring)
        remembered, bits = self._distinct.repairs, BITS[:slots]
        codes = (old @ bits << slots) | new @ bits
        found = remembered[codes]
        if not found.any():
            return None
        unknown = found == UNKNOWN
        if unknown.any():
            remembered[codes[unknown]] = repair(old[unknown], new[unknown], self.wiring) @ bits
            found = remembered[codes]
        return (found[:, None] & bits) != 0

    def revived(self, active: np.ndarray) -> np.ndarray:
        """bool (N, E): null slots where an operation could bring dead slots, or a dead input, to life.

        It could not where live slots already read its source and write its target: then no set of such changes makes
        another node live (the nodes that are fed, and those that lead to the output, stay the same).
        """
        live = live_slots(active, self.wiring)[:, None, :]
        cell, source, target = np.moveaxis(self._rows(self._distinct.ends), -1, 0)
        same_cell = cell[:, :, None] == cell[:, None, :]
        read = (live & same_cell & (source[:, :, None] == source[:, None, :])).any(-1)
        written = (live & same_cell & (target[:, :, None] == target[:, None, :])).any(-1)
        return ~active & ~(read & written)
