"""What networks are stacked from: stems, cells, residual blocks and the auxiliary head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn, Tensor

from natrl.core.architecture import Cell
from natrl.core.operations import Convolution
from natrl.networks.operations import build_operation, convolution_stage, FactorizedReduction, Null
from natrl.spaces.skeleton import Block, Skeleton

__all__ = ["AuxiliaryHead", "CellModule", "ResidualBlock", "Stem", "drop_path"]


def _square(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)


class Stem(nn.Module):
    """Image → the two tensors (one nearer the image, one nearer the cells) that the first cell reads.

    "cifar": one 3×3 convolution, both tensors the same; "imagenet": three with stride 2 (DARTS).
    """

    def __init__(self, skeleton: Skeleton, channels: int) -> None:
        super().__init__()
        images, c = skeleton.image_channels, skeleton.channels
        if skeleton.stem == "cifar":
            self.first = nn.Sequential(_square(images, channels, 3), nn.BatchNorm2d(channels))
            self.second: nn.Module = nn.Identity()
        else:
            self.first = nn.Sequential(
                _square(images, c // 2, 3, 2),
                nn.BatchNorm2d(c // 2),
                nn.ReLU(),
                _square(c // 2, c, 3, 2),
                nn.BatchNorm2d(c),
            )
            self.second = nn.Sequential(nn.ReLU(), _square(c, c, 3, 2), nn.BatchNorm2d(c))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if images.shape[1] == 1:  # without these strides torch takes the image for channels-first, and all that follows
            images = images.flatten(0, 1)[..., None].permute(0, 3, 1, 2)
        first = self.first(images)
        return first, self.second(first)


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Zeros whole samples with that probability and scales the others up (FractalNet; as in DARTS)."""
    keep = 1 - probability
    return x * (torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) < keep).to(x.dtype) / keep


class CellModule(nn.Module):
    """A cell: its inputs are preprocessed, every slot runs, dead ones too, and the output nodes are concatenated."""

    def __init__(self, cell: Cell, operations: Sequence[str], block: Block) -> None:
        super().__init__()
        self.cell = cell
        channels = block.channels
        self.preprocessing = nn.ModuleList()
        for width, halve in zip(block.in_channels, block.halve, strict=True):
            if cell.inputs == 1:
                self.preprocessing.append(nn.Identity())
            elif halve:
                self.preprocessing.append(FactorizedReduction(width, channels))
            else:
                self.preprocessing.append(convolution_stage((Convolution(width, channels, (1, 1)),)))
        self.operations = nn.ModuleList(
            build_operation(name, channels, slot.stride) for name, slot in zip(operations, cell.slots, strict=True)
        )

    def forward(self, inputs: Sequence[Tensor], drop_probability: float = 0.0) -> Tensor:
        """Inputs (B, C, H, W), nearest last → (B, C · output nodes, H, W), or half the size in a reduction cell."""
        nodes = {i: prepare(x) for i, (prepare, x) in enumerate(zip(self.preprocessing, inputs, strict=True))}
        for slot, op in zip(self.cell.slots, self.operations, strict=True):
            if isinstance(op, Null) and slot.target in nodes:
                continue
            out = op(nodes[slot.source])
            if self.training and drop_probability > 0 and not isinstance(op, nn.Identity):
                out = drop_path(out, drop_probability)
            nodes[slot.target] = nodes[slot.target] + out if slot.target in nodes else out
        outputs = [nodes[node] for node in self.cell.outputs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


class ResidualBlock(nn.Module):
    """Halves height and width between the stages of a NAS-Bench-201 network (arXiv 2001.00326, section 2.1)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution_stage((Convolution(in_channels, channels, (3, 3), (2, 2)),)),
            convolution_stage((Convolution(channels, channels, (3, 3)),)),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), _square(in_channels, channels, 1))

    def forward(self, inputs: Sequence[Tensor], drop_probability: float = 0.0) -> Tensor:
        (x,) = inputs
        return self.shortcut(x) + self.body(x)


class AuxiliaryHead(nn.Module):
    """A second classifier behind the last reduction, for training only (DARTS).

    On maps of 6 to 8 pixels the pooling is DARTS' own, 5×5 to 2×2 positions; other sizes are pooled to 2×2 adaptively.
    """

    def __init__(self, channels: int, size: int, num_classes: int) -> None:
        super().__init__()
        pooling = nn.AvgPool2d(5, stride=size - 5) if 6 <= size <= 8 else nn.AdaptiveAvgPool2d(2)
        self.features = nn.Sequential(
            nn.ReLU(),
            pooling,
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))
