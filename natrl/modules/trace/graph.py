"""From sources of tensors to one cell: nodes, the slots between them, and wires.

A node of a cell is the sum of the slots that write it, and a slot writes one node. Where a tensor is read both alone
and together with others (a shortcut), or together with different others, one slot cannot write all of the nodes that
it reaches: wires, which hold skip_connect for good, lead from node to node. Nodes that contain one another are chained,
so that a dense block of n layers needs about n wires instead of n² / 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from natrl.core.architecture import Cell

__all__ = ["Graph", "build_graph"]

Sources = frozenset[int]


@dataclass(frozen=True)
class Graph:
    """A cell, and which of its edges are slots."""

    cell: Cell
    slots: tuple[int | None, ...]  # of each edge: its number among the slots, as given; None: a wire


def build_graph(
    inputs: int, reads: Mapping[int, Sources], outputs: Sequence[Sources], strides: Mapping[int, int], name: str
) -> Graph:
    """The cell of slots that are numbered by source: number s ≥ inputs reads the sum of the sources `reads[s]`.

    Sources are inputs (0 … inputs − 1) and slots; a slot has a higher number than what it reads. `outputs` are what the
    outputs of the network are sums of. `strides`: of each slot; `name`: of the cell.
    """
    wanted = {frozenset((i,)) for i in range(inputs)} | set(reads.values()) | set(outputs)
    target: dict[int, Sources] = {}
    for slot in reads:
        containing = [node for node in wanted if slot in node]
        least = min(containing, key=len, default=frozenset((slot,)))
        target[slot] = least if all(least <= node for node in containing) else frozenset((slot,))
    nodes = sorted(wanted | set(target.values()), key=lambda node: (max(node), len(node), sorted(node)))
    number = _numbered(nodes, inputs)
    edges: list[tuple[int, int, int | None]] = []
    for node in nodes:
        written = [slot for slot in sorted(reads) if target[slot] == node]
        edges += [(number[reads[slot]], number[node], slot) for slot in written]
        if number[node] >= inputs:
            edges += [(number[part], number[node], None) for part in _cover(node - set(written), node, nodes)]
    edges.sort(key=lambda edge: edge[1])
    ends = tuple(dict.fromkeys(number[node] for node in outputs if number[node] >= inputs))
    cell = Cell(
        name,
        inputs,
        tuple((source, to) for source, to, _ in edges),
        ends,
        strides=tuple(1 if slot is None else strides[slot] for _, _, slot in edges),
    )
    return Graph(cell, tuple(slot for _, _, slot in edges))


def _numbered(nodes: Sequence[Sources], inputs: int) -> dict[Sources, int]:
    """Inputs first, the others in the order given."""
    alone = [frozenset((i,)) for i in range(inputs)]
    return {node: i for i, node in enumerate([*alone, *(node for node in nodes if node not in alone)])}


def _cover(missing: Sources, node: Sources, nodes: Sequence[Sources]) -> list[Sources]:
    """Nodes within `node` that together have all that is missing, the largest part first."""
    parts = []
    while missing:
        part = max((n for n in nodes if n < node), key=lambda n: (len(n & missing), -len(n)))
        parts.append(part)
        missing -= part
    return parts
