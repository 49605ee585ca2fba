"""Architectures as counts of paths: features for regressors that serve every space.

A path is the sequence of operations between an input of a cell and one of its outputs. Counts of paths are what
regressors of trained accuracies learn fastest from (BANANAS, arXiv 1910.11858, section 4, where a path counts as there
or not); summing as the cell does makes equal functions equal (natrl.core.isomorphism).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from natrl.core.architecture import Architecture, Cell

__all__ = ["MAX_LENGTH", "path_counts"]

MAX_LENGTH = 8  # of longer paths the last operations count: a chain of many blocks has a power of two of them


def path_counts(architecture: Architecture) -> dict[str, int]:
    """How often each path occurs, such as {"normal:0>sep_conv_3x3>max_pool_3x3": 2}; live paths only.

    Null slots end a path and skips (without stride) leave no trace, so architectures of one `function_key` have equal
    counts. A dead architecture has none.
    """
    counts: dict[str, int] = {}
    for cell, operations in architecture.by_cell():
        for path, count in _paths(cell, operations):
            name = f"{cell.name}:{'>'.join(path)}"
            counts[name] = counts.get(name, 0) + count
    return counts


def _paths(cell: Cell, operations: Iterable[str]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Paths to the cell's outputs: the number of the input, then operations."""
    arriving: list[Counter[tuple[str, ...]]] = [Counter() for _ in range(cell.nodes)]
    for node in range(cell.inputs):
        arriving[node][(str(node),)] = 1
    for slot, op in zip(cell.slots, operations, strict=True):
        source = arriving[slot.source]  # complete: slots come by rising target
        if op == "null":
            continue
        if op == "skip_connect" and slot.stride == 1:
            arriving[slot.target].update(source)
            continue
        step = f"{op}/2" if slot.stride == 2 else op
        for path, count in source.items():
            arriving[slot.target][(*path, step)[-MAX_LENGTH:]] += count
    for node in cell.outputs:
        yield from arriving[node].items()
