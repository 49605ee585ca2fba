"""The architecture: a frozen, hashable, framework-free value.

A cell is a small directed graph. Its nodes are tensors: the first `inputs` come from outside, every other one is the
sum of the slots that write it; the output nodes are concatenated. A slot holds one operation, from one node to another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from reprlib import repr as short
from typing import Any, NamedTuple

import numpy as np

from natrl.connectivity import is_live, live_slots, Wiring
from natrl.operations import ALIASES, operation

__all__ = ["Architecture", "Cell", "Slot"]

FORMAT = "natrl.architecture"
MAX_INPUTS = 8  # of a cell: more than any published space has
MAX_STRIDE = 1024
MAX_NAME = 64


class Slot(NamedTuple):
    """A place that holds one operation."""

    cell: str  # name of its cell
    source: int  # node it reads
    target: int  # node it writes
    stride: int  # 2 where a reduction cell reads one of its inputs, else 1; or as the cell says


@dataclass(frozen=True)
class Cell:
    """The topology of one cell: everything but the operations."""

    name: str
    inputs: int  # nodes 0 … inputs−1 come from outside
    edges: tuple[tuple[int, int], ...]  # (source, target) of each slot, by rising target
    outputs: tuple[int, ...]  # nodes that are concatenated
    reduction: bool = False  # halves height and width
    strides: tuple[int, ...] | None = None  # of each slot, where the cell is a whole network (natrl.modules)

    @property
    def nodes(self) -> int:
        """Number of nodes, inputs counted."""
        return 1 + max((max(edge) for edge in self.edges), default=self.inputs - 1)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        if self.strides is not None:
            return tuple(Slot(self.name, s, t, n) for (s, t), n in zip(self.edges, self.strides, strict=True))
        return tuple(Slot(self.name, s, t, 2 if self.reduction and s < self.inputs else 1) for s, t in self.edges)

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.inputs, self.edges, self.outputs, self.reduction, self.strides))

    def __hash__(self) -> int:
        return self._hash  # topologies are keys of every cache: worked out once

    def __getstate__(self) -> dict[str, Any]:
        return {f: self.__dict__[f] for f in self.__dataclass_fields__}


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
        return " ; ".join(_cell_text(cell, ops) for cell, ops in self._by_cell())

    def _by_cell(self) -> Iterable[tuple[Cell, tuple[str, ...]]]:
        start = 0
        for cell in self.cells:
            yield cell, self.operations[start : start + len(cell.edges)]
            start += len(cell.edges)

    def __str__(self) -> str:
        return self.key

    def __deepcopy__(self, memo: Any) -> Architecture:
        return self  # a value; RLlib copies its configuration, initial architectures and all, at every iteration

    def with_operations(self, operations: Sequence[str]) -> Architecture:
        """The same topology with other operations (E names). ValueError on another number of names."""
        if len(operations) != len(self.operations):
            raise ValueError(f"expected {len(self.operations)} operations, one a slot, got {len(operations)}")
        return Architecture(self.cells, tuple(operations))

    def validate(self) -> Architecture:
        """Returns itself. ValueError naming the cell or slot and the reason if anything is malformed."""
        if not self.cells:
            raise ValueError("an architecture needs at least one cell")
        names = [cell.name for cell in self.cells]
        if len(set(names)) < len(names):
            raise ValueError(f"cells need different names, got {', '.join(map(_bare, names[:4]))}")
        if len(self.operations) != len(self.slots):
            raise ValueError(f"{len(self.slots)} slots but {len(self.operations)} operations")
        for cell, ops in self._by_cell():
            _validate_cell(cell, ops)
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
            for cell, ops in self._by_cell()
        ]
        return {"format": FORMAT, "version": 1, "cells": cells}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
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
            cell, ops = _cell_from_dict(i, part)
            cells.append(cell)
            operations += ops
        return cls(tuple(cells), tuple(operations)).validate()

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """Reads what `to_json` wrote. ValueError says where the text is malformed."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {str(error)[:200]}") from None
        return cls.from_dict(document)

    def __getstate__(self) -> dict[str, Any]:
        return {f: self.__dict__[f] for f in self.__dataclass_fields__}


def make_cell(
    name: str,
    inputs: int,
    slots: Sequence[tuple[str, int, int]],
    outputs: Iterable[int],
    reduction: bool = False,
    strides: Sequence[int] | None = None,
) -> tuple[Cell, tuple[str, ...]]:
    """A cell and its operations from (operation, source, target) triples in any order, and strides in the same."""
    order = sorted(range(len(slots)), key=lambda i: slots[i][2])
    ops = tuple(ALIASES.get(slots[i][0], slots[i][0]) for i in order)
    own = None if strides is None else tuple(strides[i] for i in order)
    return Cell(name, inputs, tuple(slots[i][1:] for i in order), tuple(outputs), reduction, own), ops


def _cell_from_dict(index: int, document: Any) -> tuple[Cell, tuple[str, ...]]:
    """A cell and its operations from an entry of the document's "cells". ValueError names the field or slot."""
    where = f"cell {index}"
    kinds = {"name": str, "inputs": int, "reduction": bool, "slots": list, "outputs": list}
    for field, kind in kinds.items():
        if not isinstance(document, dict) or type(document.get(field)) is not kind:
            raise ValueError(f'{where}: "{field}" must be given and of type {kind.__name__}')
    for i, slot in enumerate(document["slots"]):
        if not isinstance(slot, list) or [type(value) for value in slot] != [str, int, int]:
            raise ValueError(f"{where}, slot {i}: {short(slot)} is not [operation, from, to]")
    if not all(type(node) is int for node in document["outputs"]):
        raise ValueError(f"{where}: outputs must be node numbers, got {short(document['outputs'])}")
    strides = document.get("strides")
    if strides is not None and not (isinstance(strides, list) and all(type(s) is int for s in strides)):
        raise ValueError(f"{where}: strides must be a list of numbers, got {short(strides)}")
    if strides is not None and len(strides) != len(document["slots"]):
        raise ValueError(f"{where}: {len(document['slots'])} slots but {len(strides)} strides")
    slots = [(op, s, t) for op, s, t in document["slots"]]
    return make_cell(document["name"], document["inputs"], slots, document["outputs"], document["reduction"], strides)


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


def _cell_text(cell: Cell, operations: Sequence[str]) -> str:
    slots = list(zip(cell.edges, operations, strict=True))
    if cell.strides is None:
        body = " ".join(f"{op}:{s}>{t}" for (s, t), op in sorted(slots, key=lambda slot: (slot[0][::-1], slot[1])))
    else:
        body = " ".join(f"{op}:{s}>{t}/{n}" for ((s, t), op), n in zip(slots, cell.strides, strict=True))
    usual = (cell.inputs, cell.reduction) == (2, cell.name == "reduce")
    kind = "" if usual else f"/{cell.inputs}{'r' if cell.reduction else ''}"
    return f"{cell.name}{kind}: {body} | concat {' '.join(map(str, cell.outputs))}"


def _validate_cell(cell: Cell, ops: Sequence[str]) -> None:
    where = f"cell {short(cell.name)}"
    if not (cell.name.isidentifier() and cell.name.isascii() and len(cell.name) <= MAX_NAME):
        raise ValueError(f"{where}: the name of a cell is a word of at most {MAX_NAME} letters, digits and underscores")
    if not 1 <= cell.inputs <= MAX_INPUTS:
        raise ValueError(f"{where}: needs 1 to {MAX_INPUTS} inputs, got {short(cell.inputs)}")
    strides = (1,) * len(cell.edges) if cell.strides is None else cell.strides
    if len(strides) != len(cell.edges) or not all(1 <= stride <= MAX_STRIDE for stride in strides):
        raise ValueError(
            f"{where}: needs one stride of at least 1 for each slot, at most {MAX_STRIDE}, got {short(strides)}"
        )
    for i, ((source, target), op) in enumerate(zip(cell.edges, ops, strict=True)):
        slot = f"{where}, slot {i} ({_slot_text(op, source, target)})"
        try:
            operation(op)
        except ValueError as error:
            raise ValueError(f"{slot}: {error}") from None
        if source < 0 or source >= target:
            raise ValueError(f"{slot}: a slot leads from a lower node (at least 0) to a higher one")
        if target < cell.inputs:
            raise ValueError(f"{slot}: node {short(target)} is an input of the cell and cannot be written")
        if i and target < cell.edges[i - 1][1]:
            raise ValueError(f"{slot}: slots must be sorted by target node")
    written = {target for _, target in cell.edges}
    for i, (source, target) in enumerate(cell.edges):
        if source >= cell.inputs and source not in written:
            slot = f"{where}, slot {i} ({_slot_text(ops[i], source, target)})"
            raise ValueError(f"{slot}: nothing writes node {short(source)}")
    for node in range(cell.inputs, cell.inputs + len(written)):
        if node not in written:
            raise ValueError(f"{where}: nodes are numbered without gaps, but no slot writes node {node}")
    if not cell.outputs:
        raise ValueError(f"{where}: needs at least one output node")
    for node in cell.outputs:
        if node not in written:
            raise ValueError(f"{where}: output node {short(node)} is written by no slot")
    if len(set(cell.outputs)) < len(cell.outputs):
        raise ValueError(f"{where}: output nodes are repeated: {short(cell.outputs)}")


def _slot_text(op: str, source: int, target: int) -> str:
    return f"{_bare(op)}:{short(source)}>{short(target)}"


def _bare(text: str) -> str:
    """The text, on one line and shortened, without quotation marks."""
    return short(text)[1:-1]
