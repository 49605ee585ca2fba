"""Which pixels a layer reads: the geometry that a layer's replacement must keep.

A linear layer is a 1×1 convolution: each of its positions (all that stands before the last axis) is an image of one
pixel.

Along one axis a layer gives ⌊(size + before + after − dilation · (kernel − 1) − 1) / stride⌋ + 1 values. Another kernel
or dilation gives as many at the same places when its padding grows by as much as its reach; a negative padding crops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from torch import nn

__all__ = ["LAYERS", "Geometry", "Layer", "Window", "channel_axis", "channels_of", "geometry_of", "images_of", "pair"]

LAYERS = (nn.Conv2d, nn.Linear, nn.MaxPool2d, nn.AvgPool2d)
Layer: TypeAlias = nn.Conv2d | nn.Linear | nn.MaxPool2d | nn.AvgPool2d


@dataclass(frozen=True)
class Window:
    """What a layer reads along one axis, in pixels."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0  # padding; negative: so many pixels are cropped
    after: int = 0

    @property
    def reach(self) -> tuple[int, int]:
        """How far it reads before and after its centre; an even kernel reaches further after it."""
        first = (self.kernel - 1) // 2
        return self.dilation * first, self.dilation * (self.kernel - 1 - first)

    @property
    def keeps_size(self) -> bool:
        """Whether the output is as large as the input, whatever its size."""
        return self.stride == 1 and self.before + self.after == sum(self.reach)

    @property
    def margin(self) -> int:
        """What is added to the size before the stride divides it: padding, less what the first window covers."""
        return self.before + self.after - sum(self.reach) - 1

    def output(self, size: int) -> int:
        """The number of values from `size` pixels; below 1 where they are too few."""
        return (size + self.margin) // self.stride + 1

    def with_kernel(self, kernel: int, dilation: int = 1) -> Window:
        """Another kernel with its centre at the same places, for each value of the output."""
        new = replace(self, kernel=kernel, dilation=dilation)
        (old_before, old_after), (new_before, new_after) = self.reach, new.reach
        return replace(new, before=self.before + new_before - old_before, after=self.after + new_after - old_after)

    @classmethod
    def keeping(cls, kernel: int, dilation: int = 1) -> Window:
        """With stride 1, padded so that the size stays."""
        before, after = cls(kernel, 1, dilation).reach
        return cls(kernel, 1, dilation, before, after)


class Geometry(NamedTuple):
    """The windows along rows (height) and columns (width)."""

    rows: Window
    columns: Window

    @property
    def keeps_size(self) -> bool:
        return self.rows.keeps_size and self.columns.keeps_size

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """Left, right, top, bottom: the order of `torch.nn.functional.pad`."""
        return self.columns.before, self.columns.after, self.rows.before, self.rows.after

    @property
    def symmetric_padding(self) -> tuple[int, int] | None:
        """(rows, columns) as torch's layers take them; None where they cannot: different sides, or a crop."""
        left, right, top, bottom = self.padding
        return (top, left) if left == right >= 0 and top == bottom >= 0 else None

    def output(self, height: int, width: int) -> tuple[int, int]:
        return self.rows.output(height), self.columns.output(width)

    def with_kernel(self, kernel: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Geometry:
        """`Window.with_kernel` on both axes."""
        return Geometry(*(w.with_kernel(k, d) for w, k, d in zip(self, kernel, dilation, strict=True)))


def pair(value: int | str | tuple[int, ...]) -> tuple[int, int]:
    """(rows, columns) from what torch's layers hold. TypeError on text ("same")."""
    if isinstance(value, str):
        raise TypeError(f"expected numbers of pixels, got {value!r}")
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def channel_axis(layer: nn.Module) -> int:
    """Where the channels are in what a layer reads and gives: images have them before rows and columns."""
    return -3 if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) else -1


def channels_of(layer: nn.Conv2d | nn.Linear) -> tuple[int, int]:
    """The numbers of input and output channels."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def images_of(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(images, height, width) of a tensor of that shape which a layer reads or gives."""
    if channel_axis(layer) == -1:
        return math.prod(shape[:-1]), 1, 1
    return math.prod(shape[:-3]), shape[-2], shape[-1]


def geometry_of(layer: Layer) -> Geometry:
    """The geometry of a layer (of a ceil_mode pooling: as if it rounded down)."""
    if isinstance(layer, nn.Linear):
        return Geometry(Window(1), Window(1))
    kernel, stride = pair(layer.kernel_size), pair(layer.stride)
    dilation = (1, 1) if isinstance(layer, nn.AvgPool2d) else pair(layer.dilation)
    windows = []
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True)):
        if layer.padding == "same":
            before = d * (k - 1) // 2
            after = d * (k - 1) - before
        else:
            before = after = 0 if layer.padding == "valid" else pair(layer.padding)[axis]
        windows.append(Window(k, s, d, before, after))
    return Geometry(*windows)
