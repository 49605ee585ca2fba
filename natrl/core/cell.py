"""The cell: a small directed graph of slots. Its parts, its text, and what makes it malformed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from reprlib import repr as short
from typing import Any, NamedTuple

from natrl.core.operations import ALIASES, canonical, operation

__all__ = ["Cell", "Slot", "bare", "cell_from_dict", "cell_text", "make_cell", "validate_cell"]

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
    ops = canonical(slots[i][0] for i in order)
    own = None if strides is None else tuple(strides[i] for i in order)
    return Cell(name, inputs, tuple(slots[i][1:] for i in order), tuple(outputs), reduction, own), ops


def cell_from_dict(index: int, document: Any) -> tuple[Cell, tuple[str, ...]]:
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


def cell_text(cell: Cell, operations: Sequence[str]) -> str:
    slots = list(zip(cell.edges, operations, strict=True))
    if cell.strides is None:
        body = " ".join(f"{op}:{s}>{t}" for (s, t), op in sorted(slots, key=lambda slot: (slot[0][::-1], slot[1])))
    else:
        body = " ".join(f"{op}:{s}>{t}/{n}" for ((s, t), op), n in zip(slots, cell.strides, strict=True))
    usual = (cell.inputs, cell.reduction) == (2, cell.name == "reduce")
    kind = "" if usual else f"/{cell.inputs}{'r' if cell.reduction else ''}"
    return f"{cell.name}{kind}: {body} | concat {' '.join(map(str, cell.outputs))}"


def validate_cell(cell: Cell, ops: Sequence[str]) -> None:
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
        if op in ALIASES:
            raise ValueError(f"{slot}: the operation is called {ALIASES[op]}")
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
    return f"{bare(op)}:{short(source)}>{short(target)}"


def bare(text: str) -> str:
    """The text, on one line and shortened, without quotation marks."""
    return short(text)[1:-1]
