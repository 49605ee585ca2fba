"""The supernet: one set of weights that serves every architecture of a space.

B batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.networks.blocks import Stem
from natrl.networks.functional import batch_norm, global_average
from natrl.networks.shared_weights import (
    of_nodes,
    SharedCell,
    SharedPreprocessing,
    SharedResidualBlock,
    SharedSlot,
    StackedNodes,
)
from natrl.spaces import Skeleton, Space
from natrl.spaces.live import live_blocks
from natrl.spaces.skeleton import Block
from natrl.training.weight_settings import FAIR

__all__ = ["CellSupernet"]


class CellShape(NamedTuple):
    """The largest extent of one kind of cell over the architectures of a space."""

    inputs: int
    slots: int
    nodes: int  # inputs not counted
    reduction: bool


class CellSupernet(nn.Module):
    """Weights for every architecture of a space on a skeleton: any operations, topology and output nodes.

    Every block has weights per slot (its position in the cell, whatever it reads); within a slot the kernels of a type
    are cropped from the largest one, and batch-norms belong to one operation. Batch-norms use the statistics of the
    batch at hand, in training and evaluation. Only what is live runs: slots that no input reaches (in a plain network
    they add a constant, their batch-norm's bias), or that reach no output, do not.
    """

    settings = FAIR

    def __init__(self, space: Space, skeleton: Skeleton) -> None:
        super().__init__()
        self.space, self.skeleton = space, skeleton
        self.shapes = _cell_shapes(space)
        self.plan = skeleton.plan(space.sample(np.random.default_rng(0)))
        self.stem = Stem(skeleton, self.plan[0].in_channels[-1])
        self.blocks = nn.ModuleList(self._make_block(i, block) for i, block in enumerate(self.plan))
        nodes, channels = self._outputs(len(self.plan) - 1)
        two_inputs = self.shapes[0].inputs == 2
        self.head = nn.Identity() if two_inputs else nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        classifier = nn.Linear(nodes * channels, skeleton.num_classes)
        self.classifier = nn.Parameter(classifier.weight.data.unflatten(1, (nodes, channels)))
        self.classifier_bias = classifier.bias
        _use_batch_statistics(self)

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Images (B, channels, size, size), best channels-last → logits (B, num_classes).

        ValueError if the architecture is not one of the space.
        """
        return self.classify(self.embed(images), architecture)

    def embed(self, images: Tensor) -> tuple[StackedNodes, StackedNodes]:
        """The stem's outputs, which `classify` turns into logits for any number of architectures.

        What architectures have in common before their first slots is computed once.
        """
        outputs = self.stem(images.contiguous(memory_format=torch.channels_last))
        first, second = (StackedNodes([x], [0]) for x in outputs)
        return (first, first) if self.skeleton.stem == "cifar" else (first, second)

    def classify(self, embedded: tuple[StackedNodes, StackedNodes], architecture: Architecture) -> Tensor:
        """Logits (B, num_classes) of the architecture. ValueError if it is not one of the space."""
        self.check(architecture)
        before: StackedNodes | None
        last: StackedNodes | None
        before, last = embedded
        for block, plan, live in zip(self.blocks, self.plan, live_blocks(architecture, self.skeleton), strict=True):
            out = None
            if live is not None:
                out = block((before, last)[-len(live.inputs) :], live) if live.outputs else self._zeros(embedded, plan)
            before, last = last, out
        assert last is not None
        features = torch.cat([global_average(self.head(x)) for x in last.maps], dim=1)
        return nn.functional.linear(features, of_nodes(self.classifier, last.nodes), self.classifier_bias)

    prepare, score = embed, classify  # as natrl.training.supernet.Supernet names them

    def check(self, architecture: Architecture) -> None:
        """ValueError if the architecture has an operation, slot or node for which there are no weights."""
        self.space.check(architecture)
        for cell, shape in zip(architecture.cells, self.shapes, strict=True):
            if len(cell.edges) > shape.slots or cell.nodes - cell.inputs > shape.nodes:
                raise ValueError(
                    f"cell {cell.name!r}: the supernet of space {self.space.name!r} has weights for {shape.slots} "
                    f"slots and {shape.nodes} nodes, not for {len(cell.edges)} and {cell.nodes - cell.inputs}"
                )

    def _make_block(self, i: int, block: Block) -> nn.Module:
        if block.cell is None:
            return SharedResidualBlock(block.in_channels[0], block.channels)
        shape = self.shapes[block.cell]
        return SharedCell(self._preprocessing(i, block), self._slots(block, shape))

    def _preprocessing(self, i: int, block: Block) -> Iterator[SharedPreprocessing]:
        if len(block.in_channels) > 1:
            for which, (width, halve) in enumerate(zip(block.in_channels, block.halve, strict=True)):
                source = i - len(block.in_channels) + which
                nodes, channels = self._outputs(source) if source >= 0 else (1, width)
                yield SharedPreprocessing(nodes, channels, block.channels, halve=halve)

    def _slots(self, block: Block, shape: CellShape) -> Iterator[SharedSlot]:
        for _ in range(shape.slots):
            yield SharedSlot(block.channels, self.space.primitives, reduction=shape.reduction)

    def _outputs(self, i: int) -> tuple[int, int]:
        """Number of possible output nodes of block i, and the channels of each."""
        block = self.plan[i]
        if block.cell is None or self.shapes[block.cell].inputs == 1:
            return 1, block.channels
        return self.shapes[block.cell].nodes, block.channels

    def _zeros(self, embedded: tuple[StackedNodes, StackedNodes], block: Block) -> StackedNodes:
        """What a dead cell gives."""
        assert block.cell is not None
        size = -(-block.size // 2) if self.shapes[block.cell].reduction else block.size
        x = embedded[0].maps[0]
        return StackedNodes([x.new_zeros(len(x), block.channels, size, size)], [0])


def _cell_shapes(space: Space, samples: int = 32) -> tuple[CellShape, ...]:
    """The largest cells among some samples of the space (built-in spaces have cells of one size)."""
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng).cells for _ in range(samples)]
    return tuple(
        CellShape(
            kinds[0].inputs,
            max(len(cell.edges) for cell in kinds),
            max(cell.nodes - cell.inputs for cell in kinds),
            kinds[0].reduction,
        )
        for kinds in zip(*drawn, strict=True)
    )


class BatchStatistics(nn.BatchNorm2d):
    """A batch-norm that uses the statistics of the batch in training and evaluation, and keeps none."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, track_running_stats=False)

    def forward(self, input: Tensor) -> Tensor:
        return batch_norm(input, self.weight, self.bias)


def _use_batch_statistics(module: nn.Module) -> None:
    """Replaces all batch-norms within the module."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, BatchStatistics(child.num_features))
        else:
            _use_batch_statistics(child)
