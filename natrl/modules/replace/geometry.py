"""Which pixels a layer reads: the geometry that a layer's replacement must keep.

Convolutions and poolings go along one axis (of time, say), two (rows, columns) or three; what is said here of pixels
holds for each. A linear layer is a pointwise convolution without any axis: each of its positions (all that stands
before the last axis) is an image of one pixel.

Along one axis a layer gives ⌊(size + before + after − dilation · (kernel − 1) − 1) / stride⌋ + 1 values. Another kernel
or dilation gives as many at the same places when its padding grows by as much as its reach; a negative padding crops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from torch import nn

__all__ = [
    "CONVOLUTIONS",
    "LAYERS",
    "Conv",
    "Geometry",
    "Layer",
    "Pool",
    "Window",
    "axes_of",
    "channel_axis",
    "channels_of",
    "geometry_of",
    "images_of",
    "of_axes",
    "per_axis",
]

Conv: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Conv3d
MaxPool: TypeAlias = nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d
Pool: TypeAlias = MaxPool | nn.AvgPool1d | nn.AvgPool2d | nn.AvgPool3d
Layer: TypeAlias = Conv | nn.Linear | Pool
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAX_POOLINGS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLINGS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LAYERS = (*CONVOLUTIONS, nn.Linear, *MAX_POOLINGS, *AVG_POOLINGS)


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


class Geometry(tuple[Window, ...]):
    """The windows along each axis: of an image along rows (height), then columns (width)."""

    @property
    def keeps_size(self) -> bool:
        return all(window.keeps_size for window in self)

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(window.kernel for window in self)

    @property
    def stride(self) -> tuple[int, ...]:
        return tuple(window.stride for window in self)

    @property
    def dilation(self) -> tuple[int, ...]:
        return tuple(window.dilation for window in self)

    @property
    def padding(self) -> tuple[int, ...]:
        """Before and after, the last axis first: the order of `torch.nn.functional.pad`."""
        return tuple(side for window in reversed(self) for side in (window.before, window.after))

    @property
    def symmetric_padding(self) -> tuple[int, ...] | None:
        """As torch's layers take it; None where they cannot: different sides, or a crop."""
        return tuple(w.before for w in self) if all(w.before == w.after >= 0 for w in self) else None

    @property
    def border(self) -> tuple[int, ...]:
        """The pixels that are cropped, in the order of `padding`."""
        return tuple(max(0, -side) for side in self.padding)

    @property
    def inside(self) -> Geometry:
        """What it is on the pixels that a crop leaves."""
        return Geometry(replace(w, before=max(0, w.before), after=max(0, w.after)) for w in self)

    def output(self, *size: int) -> tuple[int, ...]:
        return tuple(window.output(n) for window, n in zip(self, size, strict=True))

    def with_kernel(self, kernel: int) -> Geometry:
        """`Window.with_kernel` on each axis."""
        return Geometry(window.with_kernel(kernel) for window in self)


def per_axis(value: int | str | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """What torch's layers hold, for each axis. TypeError on text ("same")."""
    if isinstance(value, str):
        raise TypeError(f"expected numbers of pixels, got {value!r}")
    return (value,) * axes if isinstance(value, int) else (*value,) * (axes // len(value))


def of_axes(kind: str, axes: int) -> Any:
    """torch's layer of a kind for so many axes: ("Conv", 1) is nn.Conv1d."""
    return getattr(nn, f"{kind}{axes}d")


def axes_of(layer: nn.Module) -> int:
    """How many axes a convolution or pooling goes along; 0 of any other layer."""
    kinds = zip(CONVOLUTIONS, MAX_POOLINGS, AVG_POOLINGS, strict=True)
    return next((axes for axes, kind in enumerate(kinds, start=1) if isinstance(layer, kind)), 0)


def channel_axis(layer: nn.Module) -> int:
    """Where the channels are in what a layer reads and gives: before the axes that it goes along."""
    return -1 - axes_of(layer)


def channels_of(layer: Conv | nn.Linear) -> tuple[int, int]:
    """The numbers of input and output channels."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def images_of(layer: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The images, and the size along each axis, of a tensor of that shape which a layer reads or gives."""
    channels = len(shape) + channel_axis(layer)
    return math.prod(shape[:channels]), *shape[channels + 1 :]


def geometry_of(layer: Layer) -> Geometry:
    """The geometry of a layer (of a ceil_mode pooling: as if it rounded down)."""
    if isinstance(layer, nn.Linear):
        return Geometry()
    axes = axes_of(layer)
    kernel, stride = per_axis(layer.kernel_size, axes), per_axis(layer.stride, axes)
    dilation = per_axis(getattr(layer, "dilation", 1), axes)
    windows = []
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True)):
        if layer.padding == "same":
            before = d * (k - 1) // 2
            after = d * (k - 1) - before
        else:
            before = after = 0 if layer.padding == "valid" else per_axis(layer.padding, axes)[axis]
        windows.append(Window(k, s, d, before, after))
    return Geometry(windows)
