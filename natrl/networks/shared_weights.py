"""The weights that all architectures of a space share in one block of the supernet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from natrl.core.operations import Convolution, operation, stages
from natrl.networks.blocks import ResidualBlock
from natrl.networks.functional import batch_norm, convolve, factorized_reduction, pointwise
from natrl.networks.pooling import fast_pool
from natrl.spaces.live import LiveBlock, LiveSlot

__all__ = ["Node", "SharedCell", "SharedPreprocessing", "SharedResidualBlock", "SharedSlot", "StackedNodes"]


class Node:
    """A tensor of a cell, and what comes out of the ReLU that all convolutions reading it begin with."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self._activated: Tensor | None = None

    @property
    def activated(self) -> Tensor:
        if self._activated is None:
            self._activated = F.relu(self.value)
        return self._activated


class StackedNodes:
    """What a block gives to later blocks: the maps (B, C, H, W) of some of its possible output nodes.

    `prepared` keeps what later blocks made of it, so that architectures evaluated on the same images share it.
    """

    def __init__(self, maps: Sequence[Tensor], nodes: Sequence[int]) -> None:
        self.maps, self.nodes = maps, nodes
        self.prepared: dict[nn.Module, Node] = {}
        self._activated: Tensor | None = None

    @property
    def activated(self) -> Tensor:
        """(B, C · nodes, H, W) after ReLU."""
        if self._activated is None:
            one = len(self.maps) == 1
            self._activated = F.relu(self.maps[0]) if one else F.relu(torch.cat(tuple(self.maps), dim=1), inplace=True)
        return self._activated


def _weight(*shape: int) -> nn.Parameter:
    """Initialised as torch initialises convolutions."""
    return nn.Parameter(nn.init.kaiming_uniform_(torch.empty(shape), a=sqrt(5)))


def of_nodes(weight: Tensor, nodes: Sequence[int]) -> Tensor:
    """The columns of weight (Cout, nodes, C) that read these nodes, as (Cout, C · nodes)."""
    if nodes[-1] - nodes[0] == len(nodes) - 1:
        return weight[:, nodes[0] : nodes[-1] + 1].flatten(1)
    return weight[:, list(nodes)].flatten(1)


class SharedPreprocessing(nn.Module):
    """ReLU, 1×1 convolution (a factorized reduction where the input is to be halved) and batch-norm.

    Weights exist for every output node that the block before may have; an architecture uses those of its nodes.
    """

    def __init__(self, nodes: int, in_channels: int, channels: int, *, halve: bool) -> None:
        super().__init__()
        widths = (channels // 2, channels - channels // 2) if halve else (channels,)
        self.weights = nn.ParameterList(
            _weight(width, nodes * in_channels).unflatten(1, (nodes, -1)) for width in widths
        )
        self.scale, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, inputs: StackedNodes) -> Node:
        if self not in inputs.prepared:
            weights = [of_nodes(weight, inputs.nodes) for weight in self.weights]
            convolution = pointwise if len(weights) == 1 else factorized_reduction
            x = convolution(inputs.activated, *weights)
            inputs.prepared[self] = Node(batch_norm(x, self.scale, self.bias, overwrite=True))
        return inputs.prepared[self]


class SharedSlot(nn.Module):
    """The weights of one slot of one block: for each type those of its largest kernel, from which others are cropped.

    Batch-norms belong to one operation (type and kernel) each.
    """

    def __init__(self, channels: int, primitives: Sequence[str], *, reduction: bool) -> None:
        super().__init__()
        self.channels = channels
        self.weights = nn.ParameterDict()
        self.norms = nn.ParameterDict()
        for name in sorted(primitives, key=lambda name: -operation(name).kernel):
            for i, stage in enumerate(stages(name, channels, 2 if reduction else 1)):
                for j, conv in enumerate(stage):
                    key = self._key(name, i, j)
                    if key not in self.weights:
                        self.weights[key] = _weight(conv.out_channels, conv.in_channels // conv.groups, *conv.kernel)
                self.norms[f"{name}_{i}_scale"] = nn.Parameter(torch.ones(channels))
                self.norms[f"{name}_{i}_bias"] = nn.Parameter(torch.zeros(channels))

    @staticmethod
    def _key(name: str, stage: int, convolution: int) -> str:
        return f"{operation(name).type}_{stage}_{convolution}"

    def weight(self, name: str, stage: int, convolution: int, conv: Convolution) -> Tensor:
        """The weights (Cout, Cin / groups, rows, columns) of one convolution: the centre of the shared ones."""
        whole = self.weights[self._key(name, stage, convolution)]
        (height, width), (rows, columns) = whole.shape[2:], conv.kernel
        if (height, width) == (rows, columns):
            return whole
        top, left = (height - rows) // 2, (width - columns) // 2
        return whole[:, :, top : top + rows, left : left + columns]

    def norm(self, name: str, stage: int) -> tuple[Tensor, Tensor]:
        """Scale and bias (C,) of a stage's batch-norm."""
        return self.norms[f"{name}_{stage}_scale"], self.norms[f"{name}_{stage}_bias"]

    def forward(self, slot: LiveSlot, node: Node) -> Tensor:
        op = operation(slot.operation)
        if op.is_pooling:
            return fast_pool(node.value, op.type, op.kernel, slot.stride)
        if op.type == "skip_connect" and slot.stride == 1:
            return node.value
        x = node.activated
        for i, stage in enumerate(stages(op.name, self.channels, slot.stride)):
            x = F.relu(x, inplace=True) if i else x
            weights = [self.weight(op.name, i, j, conv) for j, conv in enumerate(stage)]
            if op.type == "skip_connect":
                x = factorized_reduction(x, *(weight.flatten(1) for weight in weights))
            else:
                for conv, weight in zip(stage, weights, strict=True):
                    x = convolve(x, weight, conv)
            x = batch_norm(x, *self.norm(op.name, i), overwrite=True)
        return x


class SharedCell(nn.Module):
    """All weights of one cell: preprocessing of its inputs (none if it has only one) and its slots."""

    def __init__(self, preprocessing: Iterable[SharedPreprocessing], slots: Iterable[SharedSlot]) -> None:
        super().__init__()
        self.preprocessing = nn.ModuleList(preprocessing)
        self.slots = nn.ModuleList(slots)

    def forward(self, inputs: Sequence[StackedNodes | None], live: LiveBlock) -> StackedNodes:
        """Runs the live slots. Inputs nearest last, None where no live slot reads it; needs a live output."""
        nodes = {i: self._prepared(i, x) for i, x in enumerate(inputs) if x is not None and live.inputs[i]}
        for slot in live.slots:
            source, out = nodes[slot.source], self.slots[slot.position](slot, nodes[slot.source])
            if slot.target in nodes:
                value = nodes[slot.target].value
                out = value + out if out is source.value else out.add_(value)  # in place saves memory traffic
            nodes[slot.target] = Node(out)
        only = len(inputs) == 1  # cells with one input have one output node, whichever it is
        return StackedNodes([nodes[len(inputs) + k].value for k in live.outputs], (0,) if only else live.outputs)

    def _prepared(self, i: int, x: StackedNodes) -> Node:
        return self.preprocessing[i](x) if len(self.preprocessing) else Node(x.maps[0])


class SharedResidualBlock(ResidualBlock):
    """The residual block between stages, which holds no operations to choose from."""

    def forward(self, inputs: Sequence[StackedNodes | None], live: LiveBlock) -> StackedNodes:  # type: ignore[override]
        (before,) = inputs
        assert before is not None
        return StackedNodes([super().forward([before.maps[0]])], live.outputs)
