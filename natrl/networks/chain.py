"""A chain of layers as a torch module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.core.operations import Convolution
from natrl.networks.operations import build_operation, convolution
from natrl.spaces.chains import ChainSpace

__all__ = ["ChainNetwork"]


class ChainNetwork(nn.Module):
    """Images (B, C, H, W) → logits (B, classes)."""

    def __init__(self, space: ChainSpace, architecture: Architecture) -> None:
        super().__init__()
        self.stem = _ends(space.stem)
        self.layers = nn.Sequential(
            *(
                build_operation(name, layer.in_channels, layer.stride, layer.out_channels)
                for name, layer in zip(architecture.operations, space.layers, strict=True)
            )
        )
        self.head = _ends(space.head)
        self.classifier = nn.Linear(space.features, space.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.layers(self.stem(x))).mean((2, 3)))
        return logits


def _ends(convolutions: Sequence[Convolution]) -> nn.Sequential:
    """Convolutions, each followed by batch-norm and ReLU."""
    parts = ((convolution(conv), nn.BatchNorm2d(conv.out_channels), nn.ReLU()) for conv in convolutions)
    return nn.Sequential(*(part for stage in parts for part in stage))
