"""What of a network is worth running: the slots and inputs on a path from the image to the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from natrl.core.architecture import Architecture, Cell
from natrl.spaces.skeleton import Skeleton

__all__ = ["LiveBlock", "LiveSlot", "live_blocks", "slot_positions"]


class LiveSlot(NamedTuple):
    """A slot that runs."""

    position: int  # `slot_positions`
    operation: str
    source: int
    target: int
    stride: int


class LiveBlock(NamedTuple):
    """What runs of a block. A residual block has no slots and runs as a whole."""

    inputs: tuple[bool, ...]  # a live slot reads this input
    slots: tuple[LiveSlot, ...]
    outputs: tuple[int, ...]  # positions of the fed output nodes, 0 = the first node that slots write


@lru_cache(maxsize=4096)
def live_blocks(architecture: Architecture, skeleton: Skeleton) -> tuple[LiveBlock | None, ...]:
    """For each block of the plan what runs of it, None where no later block needs it; the same for equal keys."""
    live, cells, end = architecture.live_slots, [], 0
    for cell, operations in architecture.by_cell():
        start, end = end, end + len(operations)
        cells.append(_live_cell(cell, operations, live[start:end]))
    plan = skeleton.plan(architecture)
    needed = [False] * (len(plan) - 1) + [True]
    blocks: list[LiveBlock | None] = [None] * len(plan)
    for i in reversed(range(len(plan))):
        cell_index = plan[i].cell
        if needed[i]:
            block = LiveBlock((True,), (), (0,)) if cell_index is None else cells[cell_index]
            blocks[i] = block
            for distance, read in enumerate(reversed(block.inputs), start=1):
                if read and i >= distance:
                    needed[i - distance] = True
    return tuple(blocks)


def slot_positions(cell: Cell, operations: Sequence[str]) -> tuple[int, ...]:
    """The rank of each slot of a cell in the order of (target, source, operation)."""
    order = sorted(range(len(operations)), key=lambda e: (*cell.edges[e][::-1], operations[e]))
    positions = [0] * len(order)
    for position, e in enumerate(order):
        positions[e] = position
    return tuple(positions)


def _live_cell(cell: Cell, operations: Sequence[str], live: Sequence[bool]) -> LiveBlock:
    every = zip(slot_positions(cell, operations), operations, cell.slots, live, strict=True)
    slots = sorted(LiveSlot(p, op, slot.source, slot.target, slot.stride) for p, op, slot, alive in every if alive)
    read, written = {slot.source for slot in slots}, {slot.target for slot in slots}
    return LiveBlock(
        tuple(i in read for i in range(cell.inputs)),
        tuple(slots),
        tuple(node - cell.inputs for node in sorted(cell.outputs) if node in written),
    )
