"""Architectures that compute the same function."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from natrl.core.architecture import Architecture, Cell

__all__ = ["function_key", "held_out"]


def function_key(architecture: Architecture) -> str:
    """Text that is equal for architectures that differ only in what no input of the cell can tell.

    Null slots and what they alone feed are dropped, a skip passes its source on, and the order of slots and inner nodes
    does not count (the unique strings of NAS-Bench-201, arXiv 2001.00326). Stride-2 skips are operations. Slots of a
    cell with strides of its own differ in channels: each keeps its place.
    """
    return " ; ".join(f"{cell.name}:{'|'.join(_nodes(cell, ops))}" for cell, ops in architecture.by_cell())


def _nodes(cell: Cell, operations: Iterable[str]) -> list[str]:
    """Each output node as a sum of terms; "" is a node that nothing live writes."""
    terms = {node: Counter([f"x{node}"] if node < cell.inputs else []) for node in range(cell.nodes)}
    for e, (slot, op) in enumerate(zip(cell.slots, operations, strict=True)):
        source = terms[slot.source]  # complete: slots come by rising target
        if op == "null" or not source:
            continue
        if op == "skip_connect" and slot.stride == 1:
            terms[slot.target].update(source)
        else:
            place = "/2" * (slot.stride == 2) if cell.strides is None else f"@{e}"
            terms[slot.target][f"{op}{place}({_sum(source)})"] += 1
    return [_sum(terms[node]) for node in cell.outputs]


def _sum(terms: Counter[str]) -> str:
    """The sum as text, shortened to a digest where it is long: nested sums would double at every node."""
    text = "+".join(f"{n}*{term}" for term, n in sorted(terms.items()))
    return text if len(text) <= 100 else hashlib.sha256(text.encode()).hexdigest()


def held_out(architecture: Architecture, share: float = 0.2) -> bool:
    """Whether the architecture belongs to the held-out share; the same for all that compute the same function."""
    digest = hashlib.sha256(function_key(architecture).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
