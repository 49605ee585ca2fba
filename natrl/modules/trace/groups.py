"""Channels that belong together, and the layers that make them and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from natrl.modules.replace.geometry import Conv, CONVOLUTIONS

__all__ = ["Group", "is_dense", "is_depthwise"]


@dataclass(frozen=True)
class Group:
    """The channels that one layer makes, and the layers whose shapes go with them."""

    producer: str
    channels: int
    followers: tuple[str, ...]  # batch-norms and depthwise convolutions, which work on each channel by itself
    consumers: Mapping[str, int]  # each with how many of its inputs, side by side, are of one channel

    @property
    def layers(self) -> tuple[str, ...]:
        return self.producer, *self.followers, *self.consumers


def is_dense(layer: nn.Module) -> bool:
    """A linear layer, or a convolution whose outputs read all of its inputs; torch's own types."""
    return type(layer) is nn.Linear or (isinstance(layer, Conv) and type(layer) in CONVOLUTIONS and layer.groups == 1)


def is_depthwise(layer: nn.Module) -> bool:
    """A convolution with as many groups as channels, in and out."""
    return (
        isinstance(layer, Conv)
        and type(layer) in CONVOLUTIONS
        and layer.groups == layer.in_channels == layer.out_channels > 1
    )
