"""What networks cost, counted without building them: parameters, and MAdds of convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture, Cell, Slot
from natrl.core.operation_costs import network_operation_cost
from natrl.core.operations import Convolution, Cost, VOCABULARY, VOCABULARY_INDEX
from natrl.core.registration import vocabulary_cache
from natrl.spaces.live import live_blocks, LiveSlot
from natrl.spaces.skeleton import Block, check_cells, Skeleton

__all__ = ["CostTable", "cost_table", "live_cost", "network_cost"]


class CostTable(NamedTuple):
    """A topology's cost as a sum: what does not depend on operations, and what each operation adds in each slot."""

    fixed: Cost
    slots: np.ndarray  # (E, V, 2) int64: parameters and MAdds of vocabulary operation v in slot e, over all cells

    def cost(self, architecture: Architecture) -> Cost:
        indices = [VOCABULARY_INDEX[op] for op in architecture.operations]
        params, madds = self.slots[np.arange(len(indices)), indices].sum(0).tolist()
        return self.fixed + Cost(params, madds)


@checked
def network_cost(architecture: Architecture, skeleton: Skeleton | None = None) -> Cost:
    """Cost of the network, every slot and every preprocessing counted, dead or not (arXiv 2102.10301, table 4).

    Parameters include batch-norms; MAdds are of one image, of convolutions and the linear classifier; the auxiliary
    head is left out. ValueError if the skeleton cannot stack such cells.
    """
    return cost_table(architecture.cells, skeleton or Skeleton()).cost(architecture)


@vocabulary_cache(4096)
def cost_table(cells: tuple[Cell, ...], skeleton: Skeleton) -> CostTable:
    """The cost table of a topology on a skeleton. ValueError if the skeleton cannot stack such cells."""
    check_cells(cells)
    layout = tuple([(cell.name, cell.inputs, cell.reduction, len(cell.outputs)) for cell in cells])
    fixed, kinds = _layout_costs(layout, skeleton)
    slots = np.concatenate([kinds[c][[int(s < cell.inputs) for s, _ in cell.edges]] for c, cell in enumerate(cells)])
    slots.setflags(write=False)
    return CostTable(fixed, slots)


@vocabulary_cache(4096)
def _layout_costs(layout: tuple[tuple[str, int, bool, int], ...], skeleton: Skeleton) -> tuple[Cost, np.ndarray]:
    """What all topologies of a layout share: their fixed cost, and int64 (C, 2, V, 2) what operations add.

    Of each cell the layout says name, inputs, whether it is a reduction, and the number of outputs. On the second axis,
    1 is for slots that read an input of their cell.
    """
    cells = tuple(Cell(name, inputs, (), tuple(range(n)), reduction) for name, inputs, reduction, n in layout)
    architecture = Architecture(cells, ())
    kinds = np.zeros((len(cells), 2, len(VOCABULARY), 2), dtype=np.int64)
    fixed = _ends(architecture, skeleton)
    for block in skeleton.plan(architecture):
        fixed += _preprocessing(block)
        if block.cell is not None:
            cell = cells[block.cell]
            for kind, source in enumerate((cell.inputs, 0)):
                slot = Slot(cell.name, source, source + 1, 2 if cell.reduction and source < cell.inputs else 1)
                kinds[block.cell, kind] += _vocabulary_costs(block.channels, _slot_size(block, cell, slot), slot.stride)
    return fixed, kinds


@vocabulary_cache(4096)
def _vocabulary_costs(channels: int, size: int, stride: int) -> np.ndarray:
    """int64 (V, 2): parameters and MAdds of every operation of the vocabulary."""
    costs = (network_operation_cost(name, channels, size, size, stride) for name in VOCABULARY)
    return np.array([(cost.params, cost.madds) for cost in costs], dtype=np.int64)


@checked
def live_cost(architecture: Architecture, skeleton: Skeleton | None = None) -> Cost:
    """Cost of the parts that a path from the image to the classifier uses; `network_cost` counts the others too."""
    skeleton = skeleton or Skeleton()
    cost = _ends(architecture, skeleton)
    for block, live in zip(skeleton.plan(architecture), live_blocks(architecture, skeleton), strict=True):
        if live is None:
            continue
        cost += _preprocessing(block, live.inputs)
        if block.cell is not None:
            cell = architecture.cells[block.cell]
            for slot in live.slots:
                size = _slot_size(block, cell, slot)
                cost += network_operation_cost(slot.operation, block.channels, size, size, slot.stride)
    return cost


def _slot_size(block: Block, cell: Cell, slot: Slot | LiveSlot) -> int:
    """Height = width of what a slot reads: the slots after the first ones of a reduction cell see half-size maps."""
    return -(-block.size // 2) if cell.reduction and slot.source >= cell.inputs else block.size


def _conv(conv: Convolution, size: int, *, norm: bool = True) -> Cost:
    """A convolution on maps of size × size pixels, with or without the batch-norm after it."""
    out = -(-size // conv.stride[0])
    return Cost(conv.weights + 2 * conv.out_channels * norm, conv.weights * out * out)


def _square(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> Convolution:
    return Convolution(in_channels, out_channels, (kernel, kernel), (stride, stride))


def _preprocessing(block: Block, used: Sequence[bool] | None = None) -> Cost:
    """What brings the inputs of a cell to its channels and size; for a residual block the whole block."""
    if block.cell is None:
        (before,), after = block.in_channels, block.channels
        half = -(-block.size // 2)
        return Cost.total(
            (
                _conv(_square(before, after, 3, 2), block.size),
                _conv(_square(after, after, 3), half),
                _conv(_square(before, after, 1), half, norm=False),  # after a 2×2 average pooling
            )
        )
    if len(block.in_channels) == 1:
        return Cost()
    costs = []
    for i, (channels, halve) in enumerate(zip(block.in_channels, block.halve, strict=True)):
        if used is None or used[i]:
            size = 2 * block.size if halve else block.size
            costs.append(_conv(_square(channels, block.channels, 1, 2 if halve else 1), size))
    return Cost.total(costs)


def _ends(architecture: Architecture, skeleton: Skeleton) -> Cost:
    """Stem and classifier (in NAS-Bench-201 with the batch-norm before it)."""
    blocks = skeleton.plan(architecture)
    c, size = skeleton.channels, skeleton.image_size
    two_inputs = architecture.cells[0].inputs == 2
    if skeleton.stem == "imagenet":
        half, quarter = -(-size // 2), -(-size // 4)
        stem = Cost.total(
            (
                _conv(_square(skeleton.image_channels, c // 2, 3, 2), size),
                _conv(_square(c // 2, c, 3, 2), half),
                _conv(_square(c, c, 3, 2), quarter),
            )
        )
    else:
        stem = _conv(_square(skeleton.image_channels, 3 * c if two_inputs else c, 3), size)
    features = blocks[-1].out_channels
    weights = features * skeleton.num_classes
    norm = 0 if two_inputs else 2 * features
    return stem + Cost(weights + skeleton.num_classes + norm, weights)
