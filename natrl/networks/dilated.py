"""The depthwise convolution with dilation 2, in exact forms whose gradients are faster on CPUs.

torch's own gradients of it run without vectorisation. Without gradients torch's own convolution is as fast as these
forms, so it is used then.
x (B, C, H, W); weight (C, 1, k, k), k odd; outputs have ceil(H / stride) rows; stride 1 or 2.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from natrl.networks.subsample import subsample

__all__ = ["DilatedDepthwise", "dilated_depthwise"]


def dilated_depthwise(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """Equal to `torch.nn.functional.conv2d` up to rounding, with as many multiplications and x's memory format."""
    even = x.shape[2] % 2 == x.shape[3] % 2 == 0
    training = torch.is_grad_enabled() and weight.requires_grad
    if x.device.type != "cpu" or not training or (stride == 1 and not even):
        return F.conv2d(x, weight, None, stride, weight.shape[-1] - 1, dilation=2, groups=x.shape[1])
    channels_last = x.is_contiguous(memory_format=torch.channels_last)
    out = subsampled(x, weight) if stride == 2 else by_phases(x, weight)
    return out.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def subsampled(x: Tensor, weight: Tensor) -> Tensor:
    """Stride 2: only even rows and columns are read, and among them the dilation is 1."""
    return _undilated(subsample(x), weight)


def by_phases(x: Tensor, weight: Tensor) -> Tensor:
    """Stride 1, even H and W: pixels with equally even or odd coordinates never meet pixels of another kind.

    So the four images of such pixels go through a plain convolution as one batch.
    """
    b, c, height, width = x.shape
    h, w = height // 2, width // 2
    phases = x.permute(0, 2, 3, 1).reshape(b, h, 2, w, 2, c).permute(2, 4, 0, 1, 3, 5).reshape(4 * b, h, w, c)
    out = _undilated(phases.permute(0, 3, 1, 2), weight).permute(0, 2, 3, 1)
    return out.reshape(2, 2, b, h, w, c).permute(2, 3, 0, 4, 1, 5).reshape(b, height, width, c).permute(0, 3, 1, 2)


def _undilated(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, None, padding=weight.shape[-1] // 2, groups=x.shape[1])


class DilatedDepthwise(nn.Conv2d):
    """A depthwise convolution with dilation 2 and without bias that trains in the faster form.

    `channels` in and out; `kernel` odd; `stride` 1 or 2.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, padding=kernel - 1, dilation=2, groups=channels, bias=False
        )

    def forward(self, input: Tensor) -> Tensor:
        return dilated_depthwise(input, self.weight, self.stride[0])
