"""Pooling, and exact forms of it that are several times faster on CPUs when channels are last in memory.

x (B, C, H, W) → (B, C, ceil(H / stride), ceil(W / stride)). Neither kind counts what lies outside the image.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["fast_pool", "pool"]


def pool(x: Tensor, type: str, kernel: int, stride: int = 1) -> Tensor:
    """Pooling of type "max_pool" or "avg_pool" over windows around the pixels that the stride keeps.

    The window of an even kernel reaches further to the right and below.
    """
    even = kernel % 2 == 0
    padding = kernel // 2 if not even or stride == 1 else 0
    if type == "max_pool":
        out = F.max_pool2d(x, kernel, stride, padding, ceil_mode=even)
    else:
        out = F.avg_pool2d(x, kernel, stride, padding, ceil_mode=even, count_include_pad=False)
    return out[:, :, 1:, 1:] if even and stride == 1 else out


def fast_pool(x: Tensor, type: str, kernel: int, stride: int = 1) -> Tensor:
    """As `pool`, up to rounding, in whichever form is faster."""
    large = x.shape[2] * x.shape[3] >= 64 * stride * stride
    if x.device.type != "cpu" or kernel % 2 == 0:
        return pool(x, type, kernel, stride)
    if type == "avg_pool":
        return avg_by_convolution(x, kernel, stride) if large else pool(x, type, kernel, stride)
    shifts = stride == 1 and x.shape[2] * x.shape[3] >= 16 and not torch.is_grad_enabled()
    return max_by_shifts(x, kernel) if shifts else pool(x, type, kernel, stride)


def max_by_shifts(x: Tensor, kernel: int) -> Tensor:
    """Stride 1: the maximum of the image and its shifted copies, along the columns and then along the rows."""
    for dim in (3, 2):
        size, out = x.shape[dim], x.clone()
        for shift in range(1, min(kernel // 2, size - 1) + 1):
            for read, write in ((shift, 0), (0, shift)):
                part = out.narrow(dim, write, size - shift)
                torch.maximum(part, x.narrow(dim, read, size - shift), out=part)
        x = out
    return x


def avg_by_convolution(x: Tensor, kernel: int, stride: int) -> Tensor:
    """The sum over each window as a depthwise convolution with ones, divided by the pixels within the image."""
    ones, share = _window(x.shape[1], kernel, stride, x.shape[2], x.shape[3], x.dtype)
    return F.conv2d(x, ones, None, stride, kernel // 2, groups=x.shape[1]) * share


@lru_cache(maxsize=256)
def _window(
    channels: int, kernel: int, stride: int, height: int, width: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Weights of ones (C, 1, k, k), and 1 / (pixels of each window within the image) as (1, 1, H', W')."""
    with torch.inference_mode(False), torch.no_grad():
        ones = torch.ones(1, 1, kernel, kernel)
        counts = F.conv2d(torch.ones(1, 1, height, width), ones, None, stride, kernel // 2)
        return ones.expand(channels, 1, kernel, kernel).contiguous().to(dtype), counts.to(dtype).reciprocal()
