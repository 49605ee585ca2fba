"""Convolutions as functions of their weights, in the forms that are fast on images whose channels are last in memory.

x (B, C, H, W); outputs have ceil(H / stride) rows. All are equal to `torch.nn.functional.conv2d` up to rounding.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from natrl.core.operations import Convolution
from natrl.networks.dilated import dilated_depthwise
from natrl.networks.subsample import subsample

__all__ = ["batch_norm", "convolve", "factorized_reduction", "global_average", "pointwise"]

LARGE = 2**14  # pixels of a batch from which on `batch_norm` has its own form
PART = 2**17  # values whose squares `batch_norm` holds at a time


def pointwise(x: Tensor, weight: Tensor) -> Tensor:
    """1×1 convolution as a matrix product; weight (Cout, Cin)."""
    return F.linear(x.permute(0, 2, 3, 1), weight).permute(0, 3, 1, 2)


def convolve(x: Tensor, weight: Tensor, conv: Convolution) -> Tensor:
    """The convolution described by `conv` with weight (Cout, Cin / groups, k, l)."""
    if conv.kernel == (1, 1):
        return pointwise(x if conv.stride == (1, 1) else subsample(x), weight.flatten(1))
    if conv.dilation == 2:
        return dilated_depthwise(x, weight, conv.stride[0])
    padding = (conv.kernel[0] // 2, conv.kernel[1] // 2)
    return F.conv2d(x, weight, None, conv.stride, padding, groups=conv.groups)


def factorized_reduction(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Two 1×1 convolutions with stride 2 side by side, the second one pixel to the right and below.

    Weights (Cout, Cin); a row or column that would lie outside the image is zero.
    """
    _, _, height, width = x.shape
    even, odd = subsample(x), subsample(x, 1)
    odd = F.pad(odd, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else odd
    return torch.cat([pointwise(even, first), pointwise(odd, second)], dim=1)


def global_average(x: Tensor) -> Tensor:
    """(B, C): the mean over all pixels."""
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(1)


def batch_norm(x: Tensor, scale: Tensor, bias: Tensor, *, overwrite: bool = False) -> Tensor:
    """Batch-norm by the statistics of this batch, in training and evaluation alike. `overwrite`: x may be changed."""
    rows = x.shape[0] * x.shape[2] * x.shape[3]
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_grad_enabled() or rows < LARGE:
        return F.batch_norm(x, None, None, scale, bias, training=True)
    together = 4 if x.shape[1] % 16 and rows % 4 == 0 else 1  # pixels as one row: long enough for the vector unit
    values = x.permute(0, 2, 3, 1).reshape(rows // together, -1)
    mean, square = (m.view(together, -1).sum(0) / rows for m in _sums(values))
    factor = scale * torch.rsqrt((square - mean * mean).clamp_(min=0) + 1e-5)
    shift = bias - mean * factor
    out = torch.addcmul(shift.repeat(together), values, factor.repeat(together), out=values if overwrite else None)
    return out.view(x.shape[0], x.shape[2], x.shape[3], -1).permute(0, 3, 1, 2)


def _sums(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (columns,) of values (rows, columns) and of their squares, by parts that fit the processor's cache.

    torch's batch-norm adds channels-last values up one by one in single precision, which loses digits over so many.
    """
    parts = values.split(max(1, PART // values.shape[1]))
    sums, squared = values.new_empty(len(parts), 2, values.shape[1]), torch.empty_like(parts[0])
    for part, (plain, squares) in zip(parts, sums, strict=True):
        torch.sum(part, 0, out=plain)
        torch.sum(torch.mul(part, part, out=squared[: len(part)]), 0, out=squares)
    total = sums.sum(0)
    return total[0], total[1]
