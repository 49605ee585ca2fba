"""NAS-Bench-201 and NATS-Bench: strings, and the structures that their libraries print."""

from __future__ import annotations

from reprlib import repr as short
from typing import Any

from natrl.core.architecture import Architecture, Cell
from natrl.core.operations import operation

__all__ = [
    "NASBENCH201_CELL",
    "NASBENCH201_OPERATIONS",
    "from_string",
    "from_structure",
    "nasbench201_architecture",
    "to_nasbench201",
]

_NODES = 3
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NASBENCH201_CELL = Cell("cell", 1, _EDGES, (_NODES,))
#: NAS-Bench-201's name for each of its operations → ours.
NASBENCH201_OPERATIONS = {
    "none": "null",
    "skip_connect": "skip_connect",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
    "avg_pool_3x3": "avg_pool_3x3",
}


def from_string(text: str) -> Architecture:
    """Reads |op~0|+|op~0|op~1|+|op~0|op~1|op~2|. ValueError names the node and slot and says what is wrong."""
    nodes = text.split("+")
    if len(nodes) != _NODES:
        raise ValueError(f"a NAS-Bench-201 string has {_NODES} nodes joined by '+', got {len(nodes)}")
    slots = []
    for target, node in enumerate(nodes, start=1):
        words = node.strip().strip("|").split("|")
        if len(words) != target:
            raise ValueError(f"node {target} of a NAS-Bench-201 string has {target} slots, got {len(words)}")
        slots += [(word, *word.partition("~")[::2]) for word in words]
    return _architecture([(word, name, int(n) if n.isascii() and n.isdigit() else n) for word, name, n in slots])


def from_structure(nodes: Any) -> Architecture:
    """Reads ((("op", 0),), (("op", 0), ("op", 1)), …), as a Structure of NATS-Bench holds it, its slots in any order.

    ValueError names the node and slot and says what is wrong.
    """
    nested = isinstance(nodes, list | tuple) and all(isinstance(node, list | tuple) for node in nodes)
    if not nested or [len(node) for node in nodes] != list(range(1, _NODES + 1)):
        raise ValueError(f"a NATS-Bench structure has {_NODES} nodes, of 1, 2 and 3 slots")
    slots = [slot for node in nodes for slot in node]
    if not all(isinstance(slot, list | tuple) and [type(part) for part in slot] == [str, int] for slot in slots):
        raise ValueError("a slot of a NATS-Bench structure is (operation, from)")
    ordered = [slot for node in nodes for slot in sorted(node, key=lambda slot: slot[1])]
    return _architecture([(slot, *slot) for slot in ordered])


def _architecture(slots: list[tuple[Any, str, Any]]) -> Architecture:
    """From the six slots in order: each as written, its operation and its source."""
    for (shown, name, number), (source, target) in zip(slots, _EDGES, strict=True):
        if name not in NASBENCH201_OPERATIONS or number != source:
            valid = ", ".join(f"{op}~{source}" for op in NASBENCH201_OPERATIONS)
            raise ValueError(f"node {target}, slot {source}: {short(shown)} is not one of {valid}")
    return Architecture((NASBENCH201_CELL,), tuple(NASBENCH201_OPERATIONS[name] for _, name, _ in slots))


def to_nasbench201(architecture: Architecture) -> str:
    """NAS-Bench-201's string. ValueError on an architecture of another space."""
    names = {ours: theirs for theirs, ours in NASBENCH201_OPERATIONS.items()}
    if architecture.cells != (NASBENCH201_CELL,) or not set(architecture.operations) <= set(names):
        raise ValueError("not an architecture of NAS-Bench-201")
    words = [f"{names[op]}~{s}" for op, (s, _) in zip(architecture.operations, _EDGES, strict=True)]
    return "+".join(f"|{'|'.join(part)}|" for part in (words[:1], words[1:3], words[3:]))


def nasbench201_architecture(digits: str) -> Architecture:
    """From six digits in the order of NAS-Bench-201's operations: 0 none … 4 avg_pool_3x3."""
    names = list(NASBENCH201_OPERATIONS.values())
    return Architecture((NASBENCH201_CELL,), tuple(operation(names[int(d)]).name for d in digits))
