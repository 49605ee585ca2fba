"""The architecture: a frozen, hashable, framework-free value.

A cell is a small directed graph. Its nodes are tensors: the first `inputs` come from outside, every other one is the
sum of the slots that write it; the output nodes are concatenated. A slot holds one operation, from one node to another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from reprlib import repr as short
from typing import Any

import numpy as np

from natrl.checks.arguments import checked
from natrl.core.cell import bare, Cell, cell_from_dict, cell_text, make_cell, Slot, validate_cell
from natrl.core.connectivity import is_live, live_slots, Wiring
from natrl.core.operations import canonical
from natrl.documents import parse_json

__all__ = ["FORMAT", "Architecture", "Cell", "Slot", "make_cell", "wiring"]

FORMAT = "natrl.architecture"


@dataclass(frozen=True)
class Architecture:
    """Cells and the operation in each of their slots (E slots: cell after cell, by rising target node).

    Two cells, "normal" and "reduce", with two inputs each make a DARTS-like architecture; one cell with one input makes
    a NAS-Bench-201-like one. The constructor does not check; `validate()` does, and every reader calls it.
    """

    cells: tuple[Cell, ...]
    operations: tuple[str, ...]  # E names

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The E slots in the order of `operations`."""
        return _slots(self.cells)

    @cached_property
    def key(self) -> str:
        """Canonical text: equal for architectures that differ only in the order of slots. `natrl.parse` reads it.

        (Slots of a cell with strides of its own have their order: two that are parallel may differ in channels.)
        """
        return " ; ".join(cell_text(cell, ops) for cell, ops in self.by_cell())

    def by_cell(self) -> Iterator[tuple[Cell, tuple[str, ...]]]:
        """Each cell with the operations in its slots."""
        start = 0
        for cell in self.cells:
            yield cell, self.operations[start : start + len(cell.edges)]
            start += len(cell.edges)

    def __str__(self) -> str:
        return self.key

    def __deepcopy__(self, memo: Any) -> Architecture:
        return self  # a value; RLlib copies its configuration, initial architectures and all, at every iteration

    @checked
    def with_operations(self, operations: Sequence[str]) -> Architecture:
        """The same topology with other operations (E names, in any spelling). ValueError on another number of names."""
        if len(operations) != len(self.operations):
            raise ValueError(f"expected {len(self.operations)} operations, one a slot, got {len(operations)}")
        return Architecture(self.cells, canonical(operations))

    def validate(self) -> Architecture:
        """Returns itself. ValueError naming the cell or slot and the reason if anything is malformed."""
        if not self.cells:
            raise ValueError("an architecture needs at least one cell")
        names = [cell.name for cell in self.cells]
        if len(set(names)) < len(names):
            raise ValueError(f"cells need different names, got {', '.join(map(bare, names[:4]))}")
        if len(self.operations) != len(self.slots):
            raise ValueError(f"{len(self.slots)} slots but {len(self.operations)} operations")
        for cell, ops in self.by_cell():
            validate_cell(cell, ops)
        return self

    @property
    def is_live(self) -> bool:
        """True where in every cell a path of non-null operations leads from an input to the output."""
        return bool(is_live(self._active(), wiring(self.cells))[0])

    @property
    def live_slots(self) -> tuple[bool, ...]:
        """For each slot: it lies on a path of non-null operations from an input to the output of its cell."""
        return tuple(live_slots(self._active(), wiring(self.cells))[0].tolist())

    def _active(self) -> np.ndarray:
        return np.array([[op != "null" for op in self.operations]])

    def changes(self, other: Architecture) -> tuple[int, ...]:
        """Indices of the slots whose operations differ. ValueError if the topologies do."""
        if self.cells != other.cells:
            raise ValueError("the two architectures have different topologies")
        return tuple(i for i, (a, b) in enumerate(zip(self.operations, other.operations, strict=True)) if a != b)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document; `from_dict` reads it back to an equal value."""
        cells = [
            {
                "name": cell.name,
                "inputs": cell.inputs,
                "reduction": cell.reduction,
                "slots": [[op, s, t] for op, (s, t) in zip(ops, cell.edges, strict=True)],
                "outputs": list(cell.outputs),
                **({} if cell.strides is None else {"strides": list(cell.strides)}),
            }
            for cell, ops in self.by_cell()
        ]
        return {"format": FORMAT, "version": 1, "cells": cells}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    @checked
    def from_dict(cls, document: Any) -> Architecture:
        """Reads what `to_dict` wrote. ValueError says what is missing or malformed."""
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise ValueError(f'not an architecture: "format" must be "{FORMAT}"')
        if document.get("version") != 1:
            found = short(document.get("version"))
            raise ValueError(f"architecture version {found} is unknown; this natrl reads version 1")
        cells: list[Cell] = []
        operations: list[str] = []
        if not isinstance(document.get("cells"), list):
            raise ValueError('not an architecture: "cells" must be a list of cells')
        for i, part in enumerate(document["cells"]):
            cell, ops = cell_from_dict(i, part)
            cells.append(cell)
            operations += ops
        return cls(tuple(cells), tuple(operations)).validate()

    @classmethod
    @checked
    def from_json(cls, text: str) -> Architecture:
        """Reads what `to_json` wrote. ValueError says where the text is malformed."""
        return cls.from_dict(parse_json(text, "architecture"))

    def __getstate__(self) -> dict[str, Any]:
        return {f: self.__dict__[f] for f in self.__dataclass_fields__}


@lru_cache(maxsize=16384)
def _slots(cells: tuple[Cell, ...]) -> tuple[Slot, ...]:
    return tuple(slot for cell in cells for slot in cell.slots)


@lru_cache(maxsize=16384)
def wiring(cells: tuple[Cell, ...]) -> Wiring:
    """The connectivity of a topology as read-only arrays with batch size 1."""
    owner = np.repeat(np.arange(len(cells)), [len(cell.edges) for cell in cells])
    sources = np.array([s for cell in cells for s, _ in cell.edges], dtype=int)
    targets = np.array([t for cell in cells for _, t in cell.edges], dtype=int)
    inputs = np.array([cell.inputs for cell in cells])[owner]
    outputs = np.array([t in cell.outputs for cell in cells for _, t in cell.edges], dtype=bool)
    arrays = (
        sources < inputs,
        outputs,
        (targets[:, None] == sources[None, :]) & (owner[:, None] == owner[None, :]),
        owner[:, None] == np.arange(len(cells))[None, :],
    )
    batched = [a[None] for a in arrays]
    for a in batched:
        a.setflags(write=False)
    return Wiring(*batched)
