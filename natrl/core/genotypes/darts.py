"""The genotypes of DARTS and of its descendants: a normal and a reduction cell, slot by slot.

A slot is (operation, from), two of them for each node, or those of a node in a list of their own; or it is
(operation, from, to), or (operation, to, from), whichever a cell holds throughout. The operation may come last, and a
weight after everything. A node that no slot writes is left out, and with it what reads it, as the networks of FairDARTS
leave it out (arXiv 1911.12126): it must be named, by the output nodes or by an empty list in its place.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from reprlib import repr as short
from typing import Any

from natrl.core.architecture import Architecture, Cell, make_cell
from natrl.core.genotypes.literals import value

__all__ = ["from_fields", "genotype_fields", "to_darts", "to_nat"]

INPUTS = 2  # of a cell: the outputs of the two cells before it
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_MAX_NODES = 100

Triple = tuple[str, int, int]  # operation, from, to
Slot = tuple[str, tuple[int, ...]]  # operation; its source, or both its nodes


def genotype_fields(node: ast.Call | ast.Dict) -> dict[str, Any]:
    """The four fields of Genotype(normal=…, …), or of a dictionary with these keys. ValueError says what is wrong.

    Further fields may be there if they hold nothing (None or an empty text).
    """
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        pairs = list(zip(keys, node.values, strict=True))
    else:
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
    positional = isinstance(node, ast.Call) and node.args
    if positional or not all(isinstance(name, str) for name, _ in pairs):
        raise ValueError("malformed genotype: expected Genotype(normal=[...], normal_concat=[...], ...)")
    said = [(str(name), part) for name, part in pairs if not _says_nothing(str(name), part)]
    if sorted(name for name, _ in said) != sorted(_FIELDS):
        got = ", ".join(short(name)[1:-1] for name, _ in said[:8])
        raise ValueError(f"a genotype has the fields {', '.join(_FIELDS)}, once each; got {got}")
    return {name: value(name, part) for name, part in said}


def _says_nothing(name: str, node: ast.expr) -> bool:
    empty = (isinstance(node, ast.Constant) and node.value in (None, "")) or (
        isinstance(node, ast.Name) and node.id == "null"  # JSON
    )
    return name not in _FIELDS and empty


def from_fields(fields: Mapping[str, Any]) -> Architecture:
    """From normal, normal_concat, reduce and reduce_concat. ValueError names the slot and says what is wrong."""
    cells: list[Cell] = []
    operations: list[str] = []
    for name in ("normal", "reduce"):
        outputs = fields[f"{name}_concat"]
        if not isinstance(outputs, list | tuple | range) or not all(type(n) is int for n in outputs):
            raise ValueError(f"{name}_concat must be a list of node numbers, got {short(outputs)}")
        cell, ops = make_cell(name, INPUTS, *_slots(name, fields[name], list(outputs)), reduction=name == "reduce")
        cells.append(cell)
        operations += ops
    return Architecture(tuple(cells), tuple(operations)).validate()


def _slots(cell: str, slots: Any, outputs: list[int]) -> tuple[list[Triple], list[int]]:
    """The triples of a cell and its output nodes, without nodes that nothing writes."""
    if not isinstance(slots, list | tuple) or not slots:
        raise ValueError(f"cell {cell!r}: expected a list of slots, got {short(slots)}")
    if not _is_nested(slots):
        read = _read(cell, slots)
        if read and len(read[0][1]) == 1:
            return _two_a_node(cell, read, outputs), outputs
        return _without_empty_nodes(_oriented(cell, read), outputs, set(outputs))
    read = _read(cell, [slot for node in slots for slot in node])
    groups = [INPUTS + i for i, node in enumerate(slots) for _ in node]
    triples = _oriented(
        cell,
        [(op, (*nodes, group) if len(nodes) == 1 else nodes) for (op, nodes), group in zip(read, groups, strict=True)],
    )
    if [target for _, _, target in triples] != groups:
        raise ValueError(f"cell {cell!r}: slots that are listed by node lead to the node of their list")
    return _without_empty_nodes(triples, outputs, {*outputs, *range(INPUTS, INPUTS + len(slots))})


def _is_nested(slots: Sequence[Any]) -> bool:
    """Whether each entry lists the slots of one node."""
    return all(isinstance(node, list | tuple) and all(isinstance(s, list | tuple) for s in node) for node in slots)


def _read(cell: str, slots: Sequence[Any]) -> list[Slot]:
    """Each slot's operation and node numbers; all slots are written alike."""
    read, layouts = [], set()
    for i, slot in enumerate(slots):
        parts = list(slot) if isinstance(slot, list | tuple) else []
        weighted = len(parts) > 2 and type(parts[-1]) is float
        if weighted:
            parts.pop()
        kinds = tuple(type(part) for part in parts)
        layouts.add((kinds, weighted))
        if kinds not in ((str, int), (int, str), (str, int, int), (int, int, str)) or len(layouts) > 1:
            raise ValueError(f"cell {cell!r}, slot {i}: {short(slot)} is not (operation, from[, to]) like the others")
        name = parts.pop(0 if kinds[0] is str else -1)
        read.append((name, tuple(parts)))
    return read


def _oriented(cell: str, slots: Sequence[Slot]) -> list[Triple]:
    """Triples from slots with both their nodes: each leads to the higher, and all of a cell have them in one order."""
    rising = {first < second for _, (first, second) in slots if first != second}
    if len(rising) > 1:
        raise ValueError(f"cell {cell!r}: slots come in two orders, (operation, from, to) and (operation, to, from)")
    backwards = rising == {False}
    return [(op, second, first) if backwards else (op, first, second) for op, (first, second) in slots]


def _two_a_node(cell: str, slots: Sequence[Slot], outputs: Sequence[int]) -> list[Triple]:
    sources = [source for _, (source,) in slots]
    if len(sources) % 2:
        raise ValueError(f"cell {cell!r}: DARTS pairs come two for each node, got {len(sources)}")
    every, n = [0, 1], 1  # what is read where each of n nodes reads everything before it
    while len(every) < len(sources):
        every += range(INPUTS + n)
        n += 1
    if n > 1 and sources == every and max(outputs, default=0) < INPUTS + n:
        raise ValueError(
            f"cell {cell!r}: {len(sources)} pairs are two for each of {len(sources) // 2} nodes, or every edge of {n}: "
            "ambiguous; write (operation, from, to), or the pairs of each node in a list of their own"
        )
    return [(op, source, INPUTS + i // 2) for i, (op, (source,)) in enumerate(slots)]


def _without_empty_nodes(triples: list[Triple], outputs: list[int], named: set[int]) -> tuple[list[Triple], list[int]]:
    """Leaves out nodes that are named but written by no slot, with what reads them, and closes the gaps."""
    highest = max([INPUTS - 1, *named, *(t for _, _, t in triples)])
    while True:
        written = {target for _, _, target in triples}
        if highest >= _MAX_NODES or not {*range(INPUTS, highest + 1)} - written <= named:
            return triples, outputs  # a node is missing: validation says which
        kept = [slot for slot in triples if slot[1] < INPUTS or slot[1] in written]
        if len(kept) == len(triples):
            break
        triples = kept
    number = {0: 0, 1: 1} | {node: INPUTS + i for i, node in enumerate(sorted(written))}
    left = [number.get(node, node) for node in outputs if node in written or not INPUTS <= node <= highest]
    return [(op, number.get(s, s), number.get(t, t)) for op, s, t in triples], left


def _genotype(architecture: Architecture, slots: Callable[[Cell, list[str]], Any]) -> str:
    if [(c.name, c.inputs) for c in architecture.cells] != [("normal", INPUTS), ("reduce", INPUTS)]:
        raise ValueError("only architectures of a normal and a reduce cell with two inputs have a genotype")
    fields = []
    for cell, ops in architecture.by_cell():
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
