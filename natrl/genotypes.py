"""Readers and writers for the notations in which the field writes architectures down.

Text is parsed, never evaluated: `Genotype(...)` goes through `ast` and may hold literals and `range` only.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from reprlib import repr as short
from types import MappingProxyType
from typing import Any

from natrl.architecture import Architecture, Cell, make_cell
from natrl.operations import operation
from natrl.zoo import ZOO_TEXT

__all__ = ["parse", "to_darts", "to_nasbench201", "to_nat", "zoo"]

NASBENCH201_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NASBENCH201_CELL = Cell("cell", 1, NASBENCH201_EDGES, (3,))
#: NAS-Bench-201's name for each of its operations → ours.
NASBENCH201_OPERATIONS = {
    "none": "null",
    "skip_connect": "skip_connect",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
    "avg_pool_3x3": "avg_pool_3x3",
}
_NODE = re.compile(r"\d{1,4}", re.ASCII)
_SLOT = re.compile(r"(\w+):(\d{1,4})>(\d{1,4})(?:/(\d{1,4}))?", re.ASCII)
_CELL_HEAD = re.compile(r"\s*(\w+)(?:/(\d{1,4})(r?))?\s*:\s", re.ASCII)


def parse(text: str | Path) -> Architecture:
    """An architecture from a zoo name ("DARTS"), a file, or text in one of the notations.

    Notations: our JSON, DARTS pairs (operation, from), NAT triples (operation, from, to), NAS-Bench-201 strings, and
    the text of `Architecture.key`. ValueError says which slot is malformed and why; an unknown name lists the zoo.
    """
    text = str(text).strip()
    for name, architecture in zoo().items():
        if name.lower() == text.lower():
            return architecture
    reader = _reader(text) or _reader(text := _read(text))
    if reader is None:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise ValueError(
            f"{shown!r} is no known architecture, file or notation; known: {', '.join(zoo())}; "
            "or Genotype(normal=...), a NAS-Bench-201 string, or a JSON file that natrl wrote"
        )
    return reader(text)


def _reader(text: str) -> Callable[[str], Architecture] | None:
    """The reader of the notation that the text is in, or None."""
    if text.startswith("{"):
        return Architecture.from_json
    if text.startswith("|"):
        return _from_nasbench201
    if "normal=" in text.replace(" ", ""):
        return _from_genotype
    return _from_key if _CELL_HEAD.match(text) else None


def _read(path: str) -> str:
    """The text of the file of that name, or the name itself where there is no such file."""
    try:
        return Path(path).read_text(encoding="utf-8").strip() if os.path.isfile(path) else path
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path[-60:]!r} is not a readable text file: {error}") from None


def _from_key(text: str) -> Architecture:
    cells: list[Cell] = []
    operations: list[str] = []
    for part in re.split(r"\s*[;\n]\s*", text.strip()):
        head = _CELL_HEAD.match(part)
        body, bar, concat = part[head.end() if head else 0 :].partition("|")
        word, *nodes = concat.split() or [""]
        if not head or not bar or word != "concat" or not all(map(_NODE.fullmatch, nodes)):
            raise ValueError(f"malformed cell {part[:60]!r}: expected 'name: operation:from>to ... | concat nodes'")
        name, inputs, reduction = head.groups()
        triples, strides = [], []
        for i, word in enumerate(body.split()):
            slot = _SLOT.fullmatch(word)
            if not slot:
                raise ValueError(f"cell {name!r}, slot {i}: {short(word)} is not operation:from>to")
            triples.append((slot[1], int(slot[2]), int(slot[3])))
            strides += [int(slot[4])] if slot[4] else []
        if strides and len(strides) < len(triples):
            raise ValueError(f"cell {name!r}: either every slot has a stride (operation:from>to/stride), or none has")
        outputs = [int(n) for n in nodes]
        halves = bool(reduction) if inputs else name == "reduce"
        cell, ops = make_cell(name, int(inputs or 2), triples, outputs, halves, strides or None)
        cells.append(cell)
        operations += ops
    return Architecture(tuple(cells), tuple(operations)).validate()


def _from_nasbench201(text: str) -> Architecture:
    operations = []
    nodes = text.split("+")
    if len(nodes) != 3:
        raise ValueError(f"a NAS-Bench-201 string has 3 nodes joined by '+', got {len(nodes)}")
    for target, node in enumerate(nodes, start=1):
        words = node.strip().strip("|").split("|")
        if len(words) != target:
            raise ValueError(f"node {target} of a NAS-Bench-201 string has {target} slots, got {len(words)}")
        for source, word in enumerate(words):
            name, _, number = word.partition("~")
            if name not in NASBENCH201_OPERATIONS or number != str(source):
                valid = ", ".join(f"{op}~{source}" for op in NASBENCH201_OPERATIONS)
                raise ValueError(f"node {target}, slot {source}: {short(word)} is not one of {valid}")
            operations.append(NASBENCH201_OPERATIONS[name])
    return Architecture((NASBENCH201_CELL,), tuple(operations))


def _from_genotype(text: str) -> Architecture:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else type(error).__name__
        raise ValueError(f"malformed genotype: {reason}") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
        raise ValueError("malformed genotype: expected Genotype(normal=[...], normal_concat=[...], ...)")
    names = [str(keyword.arg) for keyword in tree.keywords]
    wanted = ["normal", "normal_concat", "reduce", "reduce_concat"]
    if sorted(names) != wanted:
        raise ValueError(f"a genotype has the fields {', '.join(wanted)}, once each; got {', '.join(names)}")
    fields = {name: _literal(name, keyword.value) for name, keyword in zip(names, tree.keywords, strict=True)}
    cells: list[Cell] = []
    operations: list[str] = []
    for name in ("normal", "reduce"):
        outputs = fields[f"{name}_concat"]
        if not isinstance(outputs, list | tuple | range) or not all(type(n) is int for n in outputs):
            raise ValueError(f"{name}_concat must be a list of node numbers, got {short(outputs)}")
        cell, ops = make_cell(name, 2, _triples(name, fields[name]), outputs, reduction=name == "reduce")
        cells.append(cell)
        operations += ops
    return Architecture(tuple(cells), tuple(operations)).validate()


def _triples(cell: str, slots: Any) -> list[tuple[str, int, int]]:
    """(operation, from, to) from NAT triples, or from DARTS pairs, of which two at a time write the next node."""
    if not isinstance(slots, list | tuple) or not slots:
        raise ValueError(f"cell {cell!r}: expected a list of slots, got {short(slots)}")
    size = len(slots[0]) if isinstance(slots[0], list | tuple) else 0
    for i, slot in enumerate(slots):
        fine = isinstance(slot, list | tuple) and len(slot) == size in (2, 3)
        if not fine or not isinstance(slot[0], str) or not all(type(n) is int for n in slot[1:]):
            raise ValueError(f"cell {cell!r}, slot {i}: {short(slot)} is not (operation, from[, to])")
    if size == 2 and len(slots) % 2:
        raise ValueError(f"cell {cell!r}: DARTS pairs come two for each node, got {len(slots)}")
    return [(s[0], s[1], s[2] if size == 3 else 2 + i // 2) for i, s in enumerate(slots)]


def _literal(field: str, node: ast.expr) -> Any:
    """A literal, or range(...) of literals; anything else is refused."""
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            bounds = [ast.literal_eval(argument) for argument in node.args]
            if not node.keywords and all(type(b) is int and abs(b) <= 1000 for b in bounds):
                return range(*bounds)
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(f"malformed genotype: {field} is not a plain list (nothing is evaluated)") from None


def _genotype(architecture: Architecture, slots: Any) -> str:
    if [(c.name, c.inputs) for c in architecture.cells] != [("normal", 2), ("reduce", 2)]:
        raise ValueError("only architectures of a normal and a reduce cell with two inputs have a genotype")
    start, fields = 0, []
    for cell in architecture.cells:
        ops = architecture.operations[start : start + len(cell.edges)]
        start += len(cell.edges)
        named = ["none" if op == "null" else op for op in ops]
        fields += [f"{cell.name}={slots(cell, named)!r}", f"{cell.name}_concat={list(cell.outputs)!r}"]
    return f"Genotype({', '.join(fields)})"


def to_nat(architecture: Architecture) -> str:
    """NAT's notation: Genotype of (operation, from, to) triples. ValueError on another kind of architecture."""
    return _genotype(architecture, lambda cell, ops: [(op, s, t) for op, (s, t) in zip(ops, cell.edges, strict=True)])


def to_darts(architecture: Architecture) -> str:
    """DARTS' notation: Genotype of (operation, from) pairs. ValueError unless two slots write each node."""

    def pairs(cell: Cell, ops: list[str]) -> list[tuple[str, int]]:
        if len(cell.edges) % 2 or [t for _, t in cell.edges] != [2 + i // 2 for i in range(len(cell.edges))]:
            raise ValueError(f"cell {cell.name!r}: DARTS' notation needs two slots for each node")
        return [(op, s) for op, (s, _) in zip(ops, cell.edges, strict=True)]

    return _genotype(architecture, pairs)


def to_nasbench201(architecture: Architecture) -> str:
    """NAS-Bench-201's string. ValueError on an architecture of another space."""
    names = {ours: theirs for theirs, ours in NASBENCH201_OPERATIONS.items()}
    if architecture.cells != (NASBENCH201_CELL,) or not set(architecture.operations) <= set(names):
        raise ValueError("not an architecture of NAS-Bench-201")
    words = [f"{names[op]}~{s}" for op, (s, _) in zip(architecture.operations, NASBENCH201_EDGES, strict=True)]
    return "+".join(f"|{'|'.join(part)}|" for part in (words[:1], words[1:3], words[3:]))


@cache
def zoo() -> Mapping[str, Architecture]:
    """Every named architecture of the two papers: name → architecture (read-only)."""
    texts: dict[str, list[str]] = {}
    name = ""
    for line in ZOO_TEXT.splitlines():
        if line.startswith(" "):
            texts[name].append(line.strip())
        else:
            name = line.strip()
            texts[name] = []
    return MappingProxyType({name: _from_key(" ; ".join(lines)) for name, lines in texts.items()})


def nasbench201_architecture(digits: str) -> Architecture:
    """From six digits in the order of NAS-Bench-201's operations: 0 none … 4 avg_pool_3x3."""
    names = list(NASBENCH201_OPERATIONS.values())
    return Architecture((NASBENCH201_CELL,), tuple(operation(names[int(d)]).name for d in digits))
