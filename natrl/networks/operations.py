"""Operations as torch modules, built from the stages that `natrl.core.operations` counts.

Images are (B, C, H, W); every module gives (B, C, ceil(H / stride), ceil(W / stride)).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from natrl.core.operations import Convolution, operation, Record, RECORDS, stages
from natrl.core.registration import check_builders
from natrl.networks.dilated import DilatedDepthwise
from natrl.networks.pooling import pool
from natrl.registry import find_object

__all__ = ["FactorizedReduction", "Null", "Pooling", "build_operation", "convolution", "convolution_stage", "shifted"]


def build_operation(name: str, channels: int, stride: int = 1, out_channels: int | None = None) -> nn.Module:
    """The module of the operation of that name, from `channels` to `out_channels` (None: as many).

    ValueError on an unknown name, or an operation that was registered without builder and stages.
    """
    op, out_channels = operation(name), out_channels or channels
    record = RECORDS[op.name]
    if record.build is not None:
        return _own_module(record, channels, out_channels, stride)
    check_builders((name,))
    if op.is_pooling:
        return Pooling(op.type, op.kernel, stride)
    if op.type == "null":
        return Null(stride)
    if op.type == "skip_connect":
        return _skip(channels, out_channels, stride)
    parts = [convolution_stage(stage) for stage in stages(op.name, channels, stride, out_channels)]
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _own_module(record: Record, *geometry: int) -> nn.Module:
    what = f"operation {record.name!r}"
    build = find_object(record.build, what) if isinstance(record.build, str) else record.build
    if not callable(build):
        raise ValueError(f"{what}: its builder must be a function of (in_channels, out_channels, stride)")
    module = build(*geometry)
    if not isinstance(module, nn.Module):
        raise ValueError(f"{what}: its builder must give a torch.nn.Module, got a {type(module).__name__}")
    return module


def _skip(channels: int, out_channels: int, stride: int) -> nn.Module:
    if channels != out_channels:
        return nn.Sequential(nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
    return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)


def convolution_stage(convolutions: tuple[Convolution, ...]) -> nn.Sequential:
    """ReLU, the convolutions one after the other, and an affine batch-norm."""
    norm = nn.BatchNorm2d(convolutions[-1].out_channels)
    return nn.Sequential(nn.ReLU(), *map(convolution, convolutions), norm)


def convolution(conv: Convolution) -> nn.Conv2d:
    """Without bias, padded so that ceil(size / stride) values come out."""
    into, out, kernel, stride, dilation, groups = conv
    if dilation == 2 and groups == into == out:
        return DilatedDepthwise(into, kernel[0], stride[0])
    padding = (dilation * (kernel[0] // 2), dilation * (kernel[1] // 2))
    return nn.Conv2d(into, out, kernel, stride, padding, dilation, groups, bias=False)


class FactorizedReduction(nn.Module):
    """Halves height and width: ReLU, two 1×1 convolutions with stride 2 side by side, batch-norm (DARTS).

    The second convolution reads the pixels one to the right and below of those that the first one reads.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        first = out_channels // 2
        self.convolutions = nn.ModuleList(
            nn.Conv2d(in_channels, c, 1, stride=2, bias=False) for c in (first, out_channels - first)
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        first, second = self.convolutions
        return self.norm(torch.cat([first(x), second(shifted(x))], dim=1))


def shifted(x: Tensor) -> Tensor:
    """The image one pixel up and to the left, zeros coming in from below and the right."""
    return F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]


class Pooling(nn.Module):
    """Pooling that neither counts nor takes the maximum of what lies outside the image; no parameters."""

    def __init__(self, kind: str, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kind, self.kernel, self.stride = kind, kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return pool(x, self.kind, self.kernel, self.stride)

    def extra_repr(self) -> str:
        return f"{self.kind}, kernel={self.kernel}, stride={self.stride}"


class Null(nn.Module):
    """Zeros."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])

    def extra_repr(self) -> str:
        return f"stride={self.stride}"
