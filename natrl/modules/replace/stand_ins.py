"""Layers that stand in transformed networks where torch has none."""

from __future__ import annotations

from typing import Any

from torch import nn, Tensor
from torch.nn import functional

__all__ = ["Copy", "NoAttention", "PaddedAverage", "Zeros", "ZerosLike"]


class Copy(nn.Module):
    """A skip: what comes in, in memory of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


class PaddedAverage(nn.Module):
    """Average pooling with any padding or crop (left, right, top, bottom), which is not counted."""

    def __init__(self, kernel: int, stride: tuple[int, int], padding: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding

    def forward(self, x: Tensor) -> Tensor:
        share = self._sums(x.new_ones((1, *x.shape[-2:])))
        return self._sums(x) / share

    def _sums(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.pad(x, self.padding), self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}"


class Zeros(nn.Module):
    """Zeros of the shape that a layer would give: ⌊(size + margin) / stride⌋ + 1 rows, and columns.

    `channels` None: as many as come in.
    """

    def __init__(self, channels: int | None, stride: tuple[int, int], margin: tuple[int, int]) -> None:
        super().__init__()
        self.channels, self.stride, self.margin = channels, stride, margin

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = ((x.shape[i - 2] + self.margin[i]) // self.stride[i] + 1 for i in (0, 1))
        return x.new_zeros((*x.shape[:-3], self.channels or x.shape[-3], rows, columns))

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
