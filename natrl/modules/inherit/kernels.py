"""A replacement's first weights from the trained kernel alone, without any data.

O output channels, I input channels, (h, w) taps of a kernel, which has as many axes as its
layer. A smaller kernel is the part of the trained one that it
covers. A depthwise filter with a pointwise convolution is, for each input channel, the product nearest to the trained
kernel: its largest singular value (the per-channel form of Jaderberg et al. 2014, arXiv 1405.3866). Two pointwise
operations are the product of that rank nearest to the trained matrix: its largest singular values (Eckart and Young
1936).
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import nn, Tensor

from natrl.modules.replace.geometry import Conv, geometry_of, Window
from natrl.modules.replace.subclasses import kernel_of

__all__ = [
    "Pointwise",
    "convolutions_of",
    "factorise",
    "inherit_kernel",
    "low_rank",
    "low_rank_parts",
    "on_grid",
    "set_low_rank",
]


Pointwise: TypeAlias = Conv | nn.Linear


def convolutions_of(module: nn.Module) -> list[Conv]:
    """The convolutions of a replacement, first to last."""
    return [part for part in module.modules() if isinstance(part, Conv)]


def low_rank_parts(module: nn.Module) -> tuple[Pointwise, Pointwise] | None:
    """The two layers of a replacement of low rank; None of another one."""
    parts = [part for part in module.modules() if isinstance(part, Conv | nn.Linear)]
    pointwise = all(part.weight.shape[2:].numel() == 1 for part in parts)
    return (parts[0], parts[1]) if len(parts) == 2 and pointwise else None


@torch.no_grad()
def inherit_kernel(layer: Pointwise, module: nn.Module, *, filter_first: bool | None = None) -> None:
    """Sets the weights of `module`, a replacement of `layer` (natrl.modules.replace.replacements), in place.

    Of a separable convolution one stage holds the filter and the other one is the identity: with stride 1 the second
    stage filters, since the ReLU between them passes what an activation gave; with another stride the first, which
    reads every pixel. `filter_first` says otherwise. The bias is the layer's. Poolings, skips and null have no weights.
    """
    if (parts := low_rank_parts(module)) is not None:
        set_low_rank(kernel_of(layer).flatten(1), parts)
        if parts[1].bias is not None and layer.bias is not None:
            parts[1].bias.copy_(layer.bias)
        return
    convolutions = convolutions_of(module)
    if not convolutions or isinstance(layer, nn.Linear):
        return
    last = convolutions[-1]
    if len(convolutions) == 1:
        last.weight.copy_(on_grid(layer, last))
    elif max(last.kernel_size) > 1:
        _by_axes(layer, *convolutions)
    elif len(convolutions) == 2:
        _depthwise_pointwise(layer, *convolutions)
    else:
        strided = max(geometry_of(layer).stride) > 1
        _separable(layer, convolutions, strided if filter_first is None else filter_first)
    if last.bias is not None and layer.bias is not None:
        last.bias.copy_(layer.bias)


def _separable(layer: Conv, convolutions: list[Conv], filter_first: bool) -> None:
    first, mix, second, last = convolutions
    _depthwise_pointwise(layer, first if filter_first else second, last)
    nn.init.dirac_(second.weight if filter_first else first.weight, groups=second.groups)
    nn.init.dirac_(mix.weight)


def _depthwise_pointwise(layer: Conv, depthwise: Conv, pointwise: Conv) -> None:
    factorise(on_grid(layer, depthwise), depthwise, pointwise)


def factorise(kernel: Tensor, depthwise: Conv, pointwise: Conv, second_moments: Tensor | None = None) -> None:
    """Sets a depthwise and a pointwise convolution to what together is nearest to a kernel (O, I, h, w).

    Nearest in the weights; or in the outputs, where the mean products of what the taps read are given, float64
    (I, h·w, h·w), positive definite.
    """
    filters, mix = _rank_one(kernel.transpose(0, 1).flatten(2), second_moments)  # (I, O, h·w)
    depthwise.weight.copy_(filters.reshape(depthwise.weight.shape))
    pointwise.weight.copy_(mix.T.reshape(pointwise.weight.shape))


def set_low_rank(matrix: Tensor, parts: tuple[Pointwise, Pointwise], second_moments: Tensor | None = None) -> Tensor:
    """Sets two pointwise layers to the `low_rank` product nearest to a matrix (O, I); returns the product, float64."""
    first, second = parts
    out, into = low_rank(matrix, first.weight.shape[0], second_moments)
    first.weight.copy_(into.reshape(first.weight.shape))
    second.weight.copy_(out.reshape(second.weight.shape))
    return out @ into


def low_rank(matrix: Tensor, rank: int, second_moments: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """B (O, r) and A (r, I), float64, such that B A is the product of rank r nearest to a matrix W (O, I).

    Nearest in the weights; or in the outputs, ‖(W − B A) L‖, where the second moments S = L Lᵀ of what comes in are
    given, float64 (I, I), positive definite: B are the first left singular vectors of W L, and A = Bᵀ W. (That is
    reduced-rank regression, Izenman 1975; for compression DRONE, Chen et al. 2021, and SVD-LLM, arXiv 2403.07378.)
    """
    exact = matrix.detach().double()
    seen = exact if second_moments is None else exact @ torch.linalg.cholesky(second_moments)
    if seen.shape[0] <= seen.shape[1]:
        out = torch.linalg.eigh(seen @ seen.mT).eigenvectors[:, -rank:]
    else:
        squares, right = torch.linalg.eigh(seen.mT @ seen)
        tiny = torch.finfo(torch.float32).tiny
        out = seen @ right[:, -rank:] / squares[-rank:].clamp(min=tiny).sqrt()
    return out, out.mT @ exact


def _by_axes(layer: Conv, across: Conv, down: Conv) -> None:
    """1×w, then h×1: the first one filters each channel for itself."""
    kernel = on_grid(layer, across, down)
    outputs, inputs, height, width = kernel.shape
    filters, mix = _rank_one(kernel.permute(1, 0, 2, 3).reshape(inputs, outputs * height, width))
    across.weight.zero_()
    across.weight[torch.arange(inputs), torch.arange(inputs), 0] = filters.to(across.weight)
    down.weight.copy_(mix.reshape(inputs, outputs, height, 1).transpose(0, 1))


def _rank_one(matrices: Tensor, second_moments: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """v (I, n) and u (I, m) such that u vᵀ is nearest to each of the matrices M (I, m, n); vᵀ S v = 1.

    Nearest in ‖(M − u vᵀ) L‖ with S = L Lᵀ, the second moments (I, n, n); without them S is the identity.
    """
    exact = matrices.double()
    if second_moments is None:
        v = torch.linalg.eigh(exact.mT @ exact).eigenvectors[..., -1]
        return v, (exact @ v[..., None])[..., 0]
    root = torch.linalg.cholesky(second_moments)
    seen = exact @ root
    v = torch.linalg.eigh(seen.mT @ seen).eigenvectors[..., -1:]
    filters = torch.linalg.solve_triangular(root.mT, v, upper=True)[..., 0]
    return filters, (seen @ v)[..., 0]


def on_grid(layer: Conv, *convolutions: Conv) -> Tensor:
    """The trained weights (O, I, h, w) at the taps of other kernels (along each axis, the largest); 0 outside."""
    kernel = kernel_of(layer)
    for axis, old in enumerate(geometry_of(layer)):
        new = max((geometry_of(c)[axis] for c in convolutions), key=lambda window: window.kernel)
        place = {offset: tap for tap, offset in enumerate(_offsets(old))}
        taps = [place.get(offset) for offset in _offsets(new)]
        dim = axis + 2
        parts = [torch.zeros_like(kernel.select(dim, 0)) if t is None else kernel.select(dim, t) for t in taps]
        kernel = torch.stack(parts, dim)
    return kernel


def _offsets(window: Window) -> list[int]:
    """How far from its centre each tap reads, in pixels."""
    before, _ = window.reach
    return [window.dilation * tap - before for tap in range(window.kernel)]
