"""Architectures as arrays: what environments show and policies read. One encoding serves every space.

B batch, E slots, F features, C cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from natrl.architecture import Architecture, Cell, wiring
from natrl.connectivity import Wiring
from natrl.operations import VOCABULARY_INDEX

__all__ = ["FEATURES", "encode", "operation_indices", "wiring_of"]

MAX_CELLS = 4
POSITIONS = 8

#: The F features of a slot, all in [0, 1]. The first ones are enough to tell which slots are live.
FEATURES: tuple[str, ...] = (
    "entry",  # reads an input of its cell
    "exit",  # writes an output node of its cell
    *(f"cell_{i}" for i in range(MAX_CELLS)),
    "stride_2",
    "reduction",
    *(f"source_{i}" for i in range(POSITIONS)),  # one-hot node number, the last one for all that are higher
    *(f"target_{i}" for i in range(POSITIONS)),
    "source_depth",  # node number / highest node number of the cell
    "target_depth",
)


@lru_cache(maxsize=4096)
def _topology(cells: tuple[Cell, ...]) -> tuple[np.ndarray, np.ndarray]:
    """adjacency int8 (E, E) and features float32 (E, F) of a topology, read-only. ValueError on too many cells."""
    if len(cells) > MAX_CELLS:
        raise ValueError(f"at most {MAX_CELLS} kinds of cell can be encoded, got {len(cells)}")
    wires = wiring(cells)
    features = np.concatenate([_cell_features(cell) for cell in cells])
    features[:, 0], features[:, 1], features[:, 2 : 2 + len(cells)] = wires.entries[0], wires.exits[0], wires.cells[0]
    adjacency = wires.adjacency[0].astype(np.int8)
    adjacency.setflags(write=False)
    features.setflags(write=False)
    return adjacency, features


@lru_cache(maxsize=4096)
def _cell_features(cell: Cell) -> np.ndarray:
    """float32 (e, F), read-only: the features of a cell's e slots, but for those of its wiring, which are left at 0."""
    features = np.zeros((len(cell.edges), len(FEATURES)), dtype=np.float32)
    column = {name: i for i, name in enumerate(FEATURES)}
    for e, slot in enumerate(cell.slots):
        features[e, column["stride_2"]] = slot.stride == 2
        features[e, column["reduction"]] = cell.reduction
        features[e, column[f"source_{min(slot.source, POSITIONS - 1)}"]] = 1
        features[e, column[f"target_{min(slot.target, POSITIONS - 1)}"]] = 1
        features[e, column["source_depth"]] = slot.source / max(1, cell.nodes - 1)
        features[e, column["target_depth"]] = slot.target / max(1, cell.nodes - 1)
    features.setflags(write=False)
    return features


def operation_indices(architectures: Sequence[Architecture]) -> np.ndarray:
    """int64 (B, E): the vocabulary index of every operation."""
    index = VOCABULARY_INDEX
    return np.array([[index[op] for op in a.operations] for a in architectures], dtype=np.int64)


def encode(architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
    """The observation arrays of architectures with equally many slots.

    ops int64 (B, E), vocabulary indices; adjacency int8 (B, E, E), [b, i, j] = 1 where slot j reads the node that
    slot i writes; features float32 (B, E, F) in [0, 1].
    """
    topologies = [_topology(a.cells) for a in architectures]
    return {
        "ops": operation_indices(architectures),
        "adjacency": np.stack([adjacency for adjacency, _ in topologies]),
        "features": np.stack([features for _, features in topologies]),
    }


def wiring_of(adjacency: Any, features: Any) -> Wiring:
    """The connectivity (bool) of encoded architectures, from arrays or tensors (B, E, E) and (B, E, F)."""
    flags = features[..., : 2 + MAX_CELLS] > 0.5
    return Wiring(flags[..., 0], flags[..., 1], adjacency > 0.5, flags[..., 2:])
