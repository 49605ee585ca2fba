"""A replacement's weights by least squares: it gives nearly what the trained layer gave, on unlabelled images.

N images, R rows (pixels of a layer's output), F features of a row, O output channels. In the order in which the network
runs its layers, the last convolution W of every replacement minimises

    Σ ‖W z − y‖² + λ ‖W − W₀‖²

over R rows (with groups: for each group by itself), where z is what the new network gives it (what came before was
fitted already, so errors are made up for),
y what the trained layer gave there, W₀ the weights from the kernel alone (kernels), and λ is RIDGE times
the mean square of a feature, times R. Two layers of low rank are the product nearest, in what comes out, to the W of
full rank. Layers that stay are fitted as well where something before them changed, to make up for that: W₀ is the
trained weight, and λ is larger. All in one forward pass, which also gives batch-norms the statistics of the new
network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import nn, Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from natrl.modules.inherit.kernels import (
    convolutions_of,
    factorise,
    inherit_kernel,
    low_rank_parts,
    on_grid,
    Pointwise,
    set_low_rank,
)
from natrl.modules.inherit.reference import at_pixels, Reference, Rows
from natrl.modules.replace.geometry import axes_of, Conv, CONVOLUTIONS, per_axis
from natrl.modules.replace.layers import is_tampered_with
from natrl.modules.replace.subclasses import kernel_of
from natrl.training.modes import in_mode, recalibrating

__all__ = ["fit_layer", "inherit"]

RIDGE = 1e-3
STAYING = 0.1  # ridge of layers that stay; benchmarks/inheritance.py has what it gives
ROUNDING = 1e-5  # share of the largest output, below which a difference says nothing
MOST = 2304  # features F of a layer that stays: a fit takes R · F² steps
ROOM = 1 << 23  # features of all rows together that a layer with groups is fitted on
DENSE = 1152  # inputs of the largest kernel that is fitted as a whole on the way to a factorised one


@torch.no_grad()
def inherit(
    model: nn.Module,
    replaced: Mapping[str, Pointwise],
    reference: Reference,
    *,
    recalibrate: bool = True,
    kept: Mapping[str, Tensor] | None = None,
    staying: Mapping[str, Pointwise] | None = None,
) -> None:
    """Fits the replacements in `model`, in place.

    `replaced`: the name of each replaced convolution or linear layer and the trained one that stood there, which has
    the channels that the replacement has. `kept`: of what it gave once the channels, int64, that it still gives.
    `staying`: other trained layers, which are fitted where they do not give what they gave. `recalibrate`: batch-norms
    take over mean and variance of the reference's images in the new network, as they had to for the reference.
    """
    mended = {
        name: layer
        for name, layer in (staying or {}).items()
        if name not in reference.repeated and _can_be_mended(model.get_submodule(name))
    }
    with ExitStack() as stack:
        stack.enter_context(recalibrating(model) if recalibrate else in_mode(model, training=False))
        for name, layer in {**mended, **replaced}.items():
            rows = reference.layers[name]
            if kept is not None and name in kept:
                rows = rows._replace(values=rows.values[:, kept[name].to(rows.values.device)])

            def fit(
                module: nn.Module,
                arguments: tuple[Any, ...],
                layer: Any = layer,
                rows: Rows = rows,
                always: bool = name in replaced,
            ) -> None:
                if always or not _gives_that(module, arguments[0], rows):
                    fit_layer(layer, module, arguments[0], rows, ridge=STAYING if _stays(layer, module) else RIDGE)

            stack.enter_context(model.get_submodule(name).register_forward_pre_hook(_once(fit)))
        model(*reference.inputs)


def _stays(layer: Pointwise, module: nn.Module) -> bool:
    """Whether the module is that layer, with the channels that it still has, and no operation in its place."""
    same = type(module) is type(layer) and module.weight.shape == layer.weight.shape
    return same and getattr(module, "dilation", None) == getattr(layer, "dilation", None)


def _gives_that(module: nn.Module, x: Tensor, rows: Rows) -> bool:
    """Whether a layer that stays gives what it gave: nothing that changed reaches it."""
    given = at_pixels(module, module(x), rows.pixels)
    if rows.normalised:
        given, rows = given - given.mean(0), rows._replace(values=rows.values - rows.values.mean(0))
    return bool((given - rows.values).abs().max() <= ROUNDING * rows.values.abs().max())


def _can_be_mended(layer: nn.Module) -> bool:
    """Whether it is one of torch's own, whose weights are used as they are and may be trained, and not large."""
    if type(layer) not in (*CONVOLUTIONS, nn.Linear) or is_tampered_with(layer):
        return False
    weight = cast(nn.Parameter, layer.weight)
    return weight.requires_grad and weight[0].numel() <= MOST


@torch.no_grad()
def fit_layer(layer: Pointwise, module: nn.Module, x: Tensor, rows: Rows, *, ridge: float = RIDGE) -> None:
    """Fits one replacement of `layer` to what that gave (`rows`), where x (N, I, H, W), say, or (…, I) comes in.

    A linear layer that stays one, and reads fewer channels, is fitted as a whole.
    """
    if type(module) is nn.Linear:
        free_mean = rows.normalised or layer.bias is not None
        weight, bias = _solve(kernel_of(layer), x.flatten(0, -2)[rows.pixels[0]], rows.values, free_mean, ridge)
        module.weight.copy_(weight)
        if module.bias is not None:
            module.bias.copy_(bias)
        return
    if (parts := low_rank_parts(module)) is not None:
        _fit_low_rank(layer, parts, x, rows, ridge)
    convolutions = convolutions_of(module)
    if parts is not None or not convolutions or isinstance(layer, nn.Linear):
        return
    signed = len(convolutions) > 2 and bool((x < 0).any())
    inherit_kernel(layer, module, filter_first=True if signed else None)
    *before, last = list(module) if isinstance(module, nn.Sequential) else [module]
    assert isinstance(last, Conv)
    free_mean = rows.normalised or layer.bias is not None
    for part in before:
        if isinstance(part, _BatchNorm):
            _make_identity(part, x, shift=free_mean)
        # where the taps are those of the trained kernel, its own rank-1 filters gave better networks
        if isinstance(part, Conv) and part is convolutions[0] and _has_new_taps(layer, convolutions):
            _fit_filter(layer, part, last, x, rows, free_mean, ridge)
        x = part(x)
    if last.groups > 1:
        rows = _fewer(rows, last)
    features = _patches(x, last, rows.pixels)
    weight, bias = _solve(last.weight, features, rows.values, free_mean, ridge, last.groups)
    last.weight.copy_(weight)
    if last.bias is not None and free_mean:
        last.bias.copy_(bias)


def _fit_low_rank(layer: Pointwise, parts: tuple[Pointwise, Pointwise], x: Tensor, rows: Rows, ridge: float) -> None:
    """The product nearest in its outputs to what of full rank gives the values: reduced-rank regression."""
    first, second = parts
    free_mean = rows.normalised or layer.bias is not None
    if isinstance(first, Conv):
        features = _patches(x, first, rows.pixels)
    else:
        features = x.flatten(0, -2)[rows.pixels[0]]
    weight, _ = _solve(kernel_of(layer), features, rows.values, free_mean, ridge)
    z = features.double()
    mean = z.mean(0) if free_mean else torch.zeros_like(z[0])
    moments = (z - mean).mT @ (z - mean) / len(z)
    strength = ridge * moments.diagonal().mean()
    moments.diagonal().add_(torch.where(strength > 0, strength, 1.0))
    product = set_low_rank(weight.flatten(1), parts, moments)
    if second.bias is not None:
        second.bias.copy_(rows.values.double().mean(0) - product @ mean)


def _fewer(rows: Rows, conv: Conv) -> Rows:
    """As many rows as fit into memory, evenly spread: a group has few weights, and many groups many features."""
    step = -(-rows.pixels.shape[1] * conv.in_channels * math.prod(conv.kernel_size) // ROOM)
    return rows._replace(pixels=rows.pixels[:, ::step], values=rows.values[::step])


def _has_new_taps(layer: Conv, convolutions: list[Conv]) -> bool:
    """Whether this is one depthwise filter, with another dilation than the layer, and a pointwise convolution."""
    return len(convolutions) == 2 and convolutions[0].dilation != layer.dilation


def _fit_filter(
    layer: Conv, depthwise: Conv, pointwise: Conv, x: Tensor, rows: Rows, free_mean: bool, ridge: float
) -> None:
    """A filter with taps where the trained kernel has none: a whole such kernel is fitted first, if not too large.

    The filter and a first pointwise convolution are what is nearest to that kernel's outputs on what it reads.
    """
    kernel, patches = on_grid(layer, depthwise), _patches(x, depthwise, rows.pixels)
    if patches.shape[1] <= DENSE:
        kernel, _ = _solve(kernel, patches, rows.values, free_mean, ridge)
    taps = patches.double().unflatten(1, (layer.in_channels, -1)).transpose(0, 1)  # (I, R, h·w)
    moments = taps.mT @ taps / len(patches)
    strength = ridge * moments.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
    moments.diagonal(dim1=1, dim2=2).add_(strength.clamp(min=torch.finfo(torch.float32).tiny))
    factorise(kernel, depthwise, pointwise, moments)


def _make_identity(norm: _BatchNorm, x: Tensor, *, shift: bool) -> None:
    """The batch-norm gives x back, in training and evaluation; shifted where the ReLU after it would cut."""
    pixels = (0, *range(2, x.dim()))
    mean, variance = x.mean(pixels), x.var(pixels, unbiased=False)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + (-x.amin(pixels)).clamp(min=0) if shift else mean)


def _patches(x: Tensor, conv: Conv, pixels: Tensor) -> Tensor:
    """(R, F): what the convolution reads for each pixel of its output."""
    axes, mode = axes_of(conv), conv.padding_mode
    sides = [side for axis in reversed(range(axes)) for side in _padding(conv, axis, axes)]
    padded = functional.pad(x, sides, "constant" if mode == "zeros" else mode)
    taps: list[Tensor] = []
    for axis in range(axes):
        offsets = torch.arange(conv.kernel_size[axis], device=x.device) * conv.dilation[axis]
        read = pixels[axis + 1, :, None] * conv.stride[axis] + offsets  # (R, k)
        taps.append(read.reshape(len(read), *(-1 if other == axis else 1 for other in range(axes))))
    index: Any = (pixels[0].reshape(-1, *[1] * axes), slice(None), *taps)
    patches = padded[index]  # (R, h, w, I)
    return patches.movedim(-1, 1).flatten(1)


def _padding(conv: Conv, axis: int, axes: int) -> tuple[int, int]:
    """What is added before and after, along an axis."""
    if isinstance(conv.padding, str):
        more = conv.dilation[axis] * (conv.kernel_size[axis] - 1) if conv.padding == "same" else 0
        return more // 2, more - more // 2
    return (per_axis(conv.padding, axes)[axis],) * 2


def _solve(
    start: Tensor, features: Tensor, values: Tensor, free_mean: bool, ridge: float, groups: int = 1
) -> tuple[Tensor, Tensor]:
    """Weights of the shape of `start` (O, …) and biases (O,): ridge regression of values (R, O) on features (R, F).

    Where there are groups, features and values are those of one after the other. A large ridge needs single precision.
    """
    kind = torch.float32 if ridge >= STAYING else torch.float64
    z, y = (t.to(kind).unflatten(1, (groups, -1)).transpose(0, 1) for t in (features, values))  # (G, R, …)
    weight = start.detach().flatten(1).to(kind).unflatten(0, (groups, -1))  # (G, O ÷ G, F ÷ G)
    z_mean, y_mean = (t.mean(1, keepdim=True) if free_mean else torch.zeros_like(t[:, :1]) for t in (z, y))
    z, y = z - z_mean, y - y_mean
    gram = z.mT @ z
    strength = ridge * gram.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
    gram.diagonal(dim1=1, dim2=2).add_(torch.where(strength > 0, strength, 1.0))  # all of its features are 0 otherwise
    weight = weight + torch.linalg.solve(gram, z.mT @ (y - z @ weight.mT)).mT
    return weight.reshape(start.shape), (y_mean - z_mean @ weight.mT).flatten()


def _once(function: Any) -> Any:
    """A hook that runs at the first call of its module only."""
    done = False

    def hook(*arguments: Any) -> None:
        nonlocal done
        if not done:
            done = True
            function(*arguments)

    return hook
