"""natrl's own notation: the text of `Architecture.key`, `name: operation:from>to … | concat nodes ; …`."""

from __future__ import annotations

import re
from reprlib import repr as short

from natrl.core.architecture import Architecture, Cell, make_cell

__all__ = ["from_key", "is_key"]

_NODE = re.compile(r"\d{1,4}", re.ASCII)
_SLOT = re.compile(r"(\w+):(\d{1,4})>(\d{1,4})(?:/(\d{1,4}))?", re.ASCII)
_CELL_HEAD = re.compile(r"\s*(\w+)(?:/(\d{1,4})(r?))?\s*:\s", re.ASCII)


def is_key(text: str) -> bool:
    """Whether the text begins as a cell does, and is no line of a log, "name: Genotype(…)"."""
    return _CELL_HEAD.match(text) is not None and not set("(~{") & set(text)


def from_key(text: str) -> Architecture:
    """Reads `Architecture.key`; cells may stand on lines of their own. ValueError names the slot and the reason."""
    cells: list[Cell] = []
    operations: list[str] = []
    for part in re.split(r"\s*[;\n]\s*", text.strip()):
        cell, ops = _cell(part)
        cells.append(cell)
        operations += ops
    return Architecture(tuple(cells), tuple(operations)).validate()


def _cell(text: str) -> tuple[Cell, tuple[str, ...]]:
    head = _CELL_HEAD.match(text)
    body, bar, concat = text[head.end() if head else 0 :].partition("|")
    word, *nodes = concat.split() or [""]
    if not head or not bar or word != "concat" or not all(map(_NODE.fullmatch, nodes)):
        raise ValueError(f"malformed cell {text[:60]!r}: expected 'name: operation:from>to ... | concat nodes'")
    name, inputs, reduction = head.groups()
    triples, strides = [], []
    for i, word in enumerate(body.split()):
        slot = _SLOT.fullmatch(word)
        if not slot:
            raise ValueError(f"cell {short(name)}, slot {i}: {short(word)} is not operation:from>to")
        triples.append((slot[1], int(slot[2]), int(slot[3])))
        strides += [int(slot[4])] if slot[4] else []
    if strides and len(strides) < len(triples):
        raise ValueError(f"cell {short(name)}: either every slot has a stride (operation:from>to/stride), or none has")
    halves = bool(reduction) if inputs else name == "reduce"
    return make_cell(name, int(inputs or 2), triples, [int(n) for n in nodes], halves, strides or None)
