"""Architectures as counts of (place, operation): features for regressors that serve every space.

N architectures, E slots, F features, G groups. A slot counts in four places: its cell, its edge, the node it writes and
the node it reads, with three names in each: its operation, the type of that, and none, for where slots are. So what was
learned of a place helps in others, where topologies differ and where they do not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from natrl.core.architecture import Architecture, Cell
from natrl.core.operations import VOCABULARY, VOCABULARY_INDEX
from natrl.spaces import Batch
from natrl.spaces.encoding import distinct_cells, operation_indices

__all__ = ["GROUPS", "Indicators"]

PLACES = ("cell", "edge", "target", "source")
NAMES = ("operation", "type", "any")
#: What a group's features say.
GROUPS: tuple[str, ...] = tuple(f"{place}·{name}" for place in PLACES for name in NAMES)
NAME_IDS = 1 << 16  # of each place: more than there will ever be operations
REMEMBERED = 1 << 16  # topologies


class Indicators:
    """The features of the architectures that it is made from; others are described by these, too.

    `group` int64 (F,), in [0, G), says which of `GROUPS` each feature belongs to.
    """

    def __init__(self, architectures: Sequence[Architecture]) -> None:
        self._places: dict[Hashable, int] = {}
        self._topologies: dict[tuple[Cell, ...], np.ndarray] = {}
        ids = self._ids(architectures)
        self._features, first = np.unique(ids, return_index=True)
        self.group = first % ids.shape[-1]

    def counts(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N, F): how many slots of each architecture each feature describes."""
        n, features = len(architectures), self._features
        ids = self._ids(architectures).reshape(n, -1)
        column = np.searchsorted(features, ids).clip(max=len(features) - 1)
        known = features[column] == ids
        cells = (column + len(features) * np.arange(n)[:, None])[known]
        return np.bincount(cells, minlength=n * len(features)).reshape(n, -1).astype(np.float64)

    def _ids(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """int64 (N, E, G): a number for every pair of a place and a name."""
        distinct: Sequence[tuple[Cell, ...]]
        row: Sequence[int] | np.ndarray
        if isinstance(architectures, Batch):
            ops, (distinct, row) = architectures.ops, architectures.topologies.distinct
        else:
            ops, (distinct, row) = operation_indices(architectures), distinct_cells(architectures)
        used, row = np.unique(row, return_inverse=True)
        places = np.stack([self._places_of(distinct[u]) for u in used])[row]  # (N or 1, E, places)
        ids = places[..., None] * NAME_IDS + _names()[ops][..., None, :]
        return ids.reshape(*ops.shape, len(GROUPS))

    def _places_of(self, cells: tuple[Cell, ...]) -> np.ndarray:
        """int64 (E, places)."""
        found = self._topologies.get(cells)
        if found is None:
            if len(self._topologies) >= REMEMBERED:
                self._topologies.clear()
            numbers = self._places
            named = [places for cell in cells for places in _places(cell)]
            found = np.array([[numbers.setdefault(place, len(numbers)) for place in places] for places in named])
            self._topologies[cells] = found
        return found


def _places(cell: Cell) -> list[tuple[Hashable, ...]]:
    """The places of each slot. Slots of a cell with strides of its own are all different: each is its own edge."""
    name = cell.name
    return [
        (name, (name, source, target, None if cell.strides is None else e), (name, "to", target), (name, "of", source))
        for e, (source, target) in enumerate(cell.edges)
    ]


def _names() -> np.ndarray:
    """int64 (V, 3): numbers of each operation's name, of its type, and of none."""
    types = {op.type: i for i, op in reversed(list(enumerate(VOCABULARY.values())))}  # by the first that has it
    known = len(VOCABULARY_INDEX)
    return np.array([[i, known + types[op.type], NAME_IDS - 1] for i, op in enumerate(VOCABULARY.values())])
