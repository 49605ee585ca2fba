"""Architectures as arrays: what environments show and policies read. One encoding serves every space.

B batch, E slots, F features, C cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from natrl.core.architecture import Architecture, Cell, wiring
from natrl.core.connectivity import Wiring
from natrl.core.operations import VOCABULARY_INDEX

__all__ = ["FEATURES", "encode", "encode_topologies", "operation_indices", "wiring_of"]

MAX_CELLS = 4
POSITIONS = 8

#: The F features of a slot, all in [0, 1]. The first ones are enough to tell which slots are live.
FEATURES: tuple[str, ...] = (
    "entry",  # reads an input of its cell
    "exit",  # writes an output node of its cell
    *(f"cell_{i}" for i in range(MAX_CELLS)),
    "stride_2",  # or more
    "reduction",
    *(f"source_{i}" for i in range(POSITIONS)),  # one-hot node number, the last one for all that are higher
    *(f"target_{i}" for i in range(POSITIONS)),
    "source_depth",  # node number / highest node number of the cell
    "target_depth",
)
COLUMN = {name: i for i, name in enumerate(FEATURES)}


def encode_topologies(architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
    """adjacency int8 (B, E, E) and features float32 (B, E, F): what does not depend on operations.

    ValueError on more cells than can be told apart, or different numbers of slots.
    """
    distinct, row = distinct_cells(architectures)
    adjacency, features = encode_cells(distinct)
    return (adjacency, features) if len(distinct) == len(row) else (adjacency[row], features[row])


def distinct_cells(architectures: Sequence[Architecture]) -> tuple[list[tuple[Cell, ...]], list[int]]:
    """The topologies that differ (the same cell objects count as one), and which one each architecture has."""
    rows: dict[tuple[int, ...], int] = {}
    row = [rows.setdefault(tuple([id(cell) for cell in a.cells]), len(rows)) for a in architectures]
    first = dict(zip(reversed(row), reversed(architectures), strict=True))
    return [first[r].cells for r in range(len(rows))], row


def encode_cells(topologies: Sequence[tuple[Cell, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """`encode_topologies` of each of these, those whose cells have equal sizes at once."""
    layouts: dict[tuple[int, ...], list[int]] = {}
    for i, cells in enumerate(topologies):
        layouts.setdefault(tuple([len(cell.edges) for cell in cells]), []).append(i)
    if len({sum(layout) for layout in layouts}) > 1:
        raise ValueError("architectures that are encoded together need equally many slots")
    slots = sum(next(iter(layouts), ()))
    adjacency = np.zeros((len(topologies), slots, slots), dtype=np.int8)
    features = np.zeros((len(topologies), slots, len(FEATURES)), dtype=np.float32)
    for layout, members in layouts.items():
        if len(layout) > MAX_CELLS:
            raise ValueError(f"at most {MAX_CELLS} kinds of cell can be encoded, got {len(layout)}")
        rows = slice(None) if len(layouts) == 1 else np.array(members)
        start = 0
        for c, size in enumerate(layout):
            own = slice(start, start + size)
            leads, described = zip(*[_encode_cell(topologies[i][c]) for i in members], strict=True)
            adjacency[rows, own, own] = leads
            features[rows, own] = described
            features[rows, own, COLUMN[f"cell_{c}"]] = 1
            start += size
    return adjacency, features


@lru_cache(maxsize=16384)
def _encode_cell(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """adjacency int8 (e, e) and features float32 (e, F) of a cell's e slots, read-only; which cell it is stays 0."""
    wires = wiring((cell,))
    features = np.zeros((len(cell.edges), len(FEATURES)), dtype=np.float32)
    features[:, COLUMN["entry"]] = wires.entries[0]
    features[:, COLUMN["exit"]] = wires.exits[0]
    features[:, COLUMN["reduction"]] = cell.reduction
    for e, slot in enumerate(cell.slots):
        features[e, COLUMN["stride_2"]] = slot.stride > 1
        features[e, COLUMN[f"source_{min(slot.source, POSITIONS - 1)}"]] = 1
        features[e, COLUMN[f"target_{min(slot.target, POSITIONS - 1)}"]] = 1
        features[e, COLUMN["source_depth"]] = slot.source / max(1, cell.nodes - 1)
        features[e, COLUMN["target_depth"]] = slot.target / max(1, cell.nodes - 1)
    adjacency = wires.adjacency[0].astype(np.int8)
    adjacency.setflags(write=False)
    features.setflags(write=False)
    return adjacency, features


def operation_indices(architectures: Sequence[Architecture]) -> np.ndarray:
    """int64 (B, E): the vocabulary index of every operation."""
    index = VOCABULARY_INDEX
    return np.array([[index[op] for op in a.operations] for a in architectures], dtype=np.int64)


def encode(architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
    """The observation arrays of architectures with equally many slots.

    ops int64 (B, E), vocabulary indices; adjacency int8 (B, E, E), [b, i, j] = 1 where slot j reads the node that
    slot i writes; features float32 (B, E, F) in [0, 1].
    """
    adjacency, features = encode_topologies(architectures)
    return {"ops": operation_indices(architectures), "adjacency": adjacency, "features": features}


def wiring_of(adjacency: Any, features: Any) -> Wiring:
    """The connectivity (bool) of encoded architectures, from arrays or tensors (B, E, E) and (B, E, F)."""
    flags = features[..., : 2 + MAX_CELLS] > 0.5
    return Wiring(flags[..., 0], flags[..., 1], adjacency > 0.5, flags[..., 2:])
