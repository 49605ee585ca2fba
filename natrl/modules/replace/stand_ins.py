"""Layers that stand in transformed networks where torch has none."""

from __future__ import annotations

from typing import Any

from torch import nn, Tensor
from torch.nn import functional

__all__ = ["Copy", "Crop", "NoAttention", "PaddedAverage", "Zeros", "ZerosLike"]


class Copy(nn.Module):
    """A skip: what comes in, in memory of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


class Crop(nn.Module):
    """Without so many pixels at the borders: before and after, the last axis first, as torch's padding takes them.

    By slices: a negative padding is not known to all that runs ONNX files.
    """

    def __init__(self, border: tuple[int, ...]) -> None:
        super().__init__()
        self.border = border

    def forward(self, x: Tensor) -> Tensor:
        for i in range(len(self.border) // 2):
            before, after = self.border[2 * i : 2 * i + 2]
            x = x.narrow(-1 - i, before, x.shape[-1 - i] - before - after)
        return x

    def extra_repr(self) -> str:
        return f"border={self.border}"


class PaddedAverage(nn.Module):
    """Average pooling with any padding, which is not counted: before and after, the last axis first."""

    def __init__(self, kernel: int, stride: tuple[int, ...], padding: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        share = self._sums(x.new_ones((1, *x.shape[-len(self.stride) :])))
        return self._sums(x) / share

    def _sums(self, x: Tensor) -> Tensor:
        average = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(self.stride) - 1]
        return average(functional.pad(x, self.padding), self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


class Zeros(nn.Module):
    """Zeros of the shape that a layer would give: ⌊(size + margin) / stride⌋ + 1 along each axis.

    `channels` None: as many as come in.
    """

    def __init__(self, channels: int | None, stride: tuple[int, ...], margin: tuple[int, ...]) -> None:
        super().__init__()
        self.channels, self.stride, self.margin = channels, stride, margin

    def forward(self, x: Tensor) -> Tensor:
        axes = len(self.stride)
        size = [(x.shape[i - axes] + self.margin[i]) // self.stride[i] + 1 for i in range(axes)]
        return x.new_zeros((*x.shape[: -axes - 1], self.channels or x.shape[-axes - 1], *size))

    def extra_repr(self) -> str:
        return f"channels={self.channels}, stride={self.stride}, margin={self.margin}"


class NoAttention(nn.Module):
    """What torch's MultiheadAttention gives, as zeros, without weights."""

    def forward(self, query: Tensor, *others: Any, **options: Any) -> tuple[Tensor, None]:
        return query.new_zeros(query.shape), None


class ZerosLike(nn.Module):
    """Zeros of the shape of the first input; `features`: another number of values along the last axis."""

    def __init__(self, features: int | None = None) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor, *others: Any, **options: Any) -> Tensor:
        return x.new_zeros(x.shape if self.features is None else (*x.shape[:-1], self.features))

    def extra_repr(self) -> str:
        return f"features={self.features}"
