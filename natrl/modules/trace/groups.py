"""Channels that belong together, and the layers that make them and read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from natrl.modules.replace.geometry import Conv, CONVOLUTIONS

__all__ = ["Group", "is_dense", "is_depthwise"]


@dataclass(frozen=True)
class Group:
    """The channels that one layer makes, or several whose outputs are joined, and the layers whose shapes follow."""

    channels: int
    #: The layers that make them, each with what follows it alone, in the order of the network.
    producers: Mapping[str, tuple[str, ...]]
    followers: tuple[str, ...]  # batch-norms and depthwise convolutions, which work on each channel by itself
    consumers: Mapping[str, int]  # each with how many of its inputs, side by side, are of one channel

    @property
    def producer(self) -> str:
        """The first, after which the group is named."""
        return next(iter(self.producers))

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.producers, *self.followers, *self.consumers)))


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
