"""What takes the place of a convolution, linear layer, pooling or block of a user's network.

A replacement gives outputs of the layer's shape (channels, and the size along each axis) at every input size, and
consists of torch's own layers where torch has them. An operation's kernel is as long along every axis that the layer
goes along: conv_3x3 is of 3 values in a Conv1d's place, and of 3×3×3 in a Conv3d's. What it gives is a tensor of its
own, as the layer's output was: the code around it may write to that, or to what the replacement read
(ReLU(inplace=True), +=). A convolution of a user's network stands where its batch-norm and activation follow it, so the
ReLU in front and the batch-norm at the end that `natrl.networks.operations` has are left out: both are there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain, count
from typing import cast, NamedTuple

import torch
from torch import nn

from natrl.core.operations import Convolution, Cost, Operation, stages
from natrl.modules.replace.geometry import (
    axes_of,
    channels_of,
    Conv,
    CONVOLUTIONS,
    Geometry,
    geometry_of,
    Layer,
    LAYERS,
    of_axes,
    Window,
)
from natrl.modules.replace.possible import possible
from natrl.modules.replace.stand_ins import Copy, Crop, NoAttention, PaddedAverage, Zeros, ZerosLike

__all__ = ["nothing", "replacement", "replacement_cost"]

_PADS = {"zeros": "ZeroPad", "reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}


class _Step(NamedTuple):
    """A convolution of a replacement, and the pixels that it reads."""

    convolution: Convolution
    geometry: Geometry


def replacement(layer: nn.Module, operation: str) -> nn.Module:
    """A new module of that operation with the layer's output shape, on its device and of its dtype.

    Weights are freshly initialised (natrl.modules.inherit starts from the trained ones). A bias goes to the last
    convolution. Between the two stages of a separable convolution, which have the layer's input channels, are a
    batch-norm and a ReLU. A convolution with groups stays one convolution with as many: a kernel, or a dilated one, of
    each group for itself. Poolings neither count nor take the maximum of what lies outside the image. A linear layer's
    replacement is made of linear layers. A module of another type becomes null alone, and is taken to give the shape of
    what it reads first. ValueError with the reason where the layer cannot become that operation.
    """
    op = possible(layer, operation)
    if not isinstance(layer, LAYERS):
        return nothing(layer).train(layer.training)
    geometry = geometry_of(layer)
    if op.type == "skip_connect":
        module: nn.Module = Copy()
    elif op.type == "null":
        module = _zeros(layer, geometry)
    elif op.is_pooling:
        module = _pooling(op, geometry, ceil=getattr(layer, "ceil_mode", False))
    else:
        module = _convolutions(cast(Conv | nn.Linear, layer), op)
    return module.train(layer.training)


def replacement_cost(layer: nn.Module, operation: str, *size: int) -> Cost:
    """Cost of `replacement(layer, operation)` for one image of that size (height, width, say) at its input.

    Of a linear layer: for as many positions. Parameters include biases and the inner batch-norm; MAdds are those
    of convolutions and linear layers. ValueError as `replacement`, and where the layer's kind of padding needs a larger
    map.
    """
    op = possible(layer, operation)
    if not isinstance(layer, Conv | nn.Linear) or op.is_pooling or op.type in ("skip_connect", "null"):
        return Cost()
    before, after = channels_of(layer)
    params = madds = 0
    for i, stage in enumerate(_steps(layer, op)):
        params += 2 * before if i else 0  # of the batch-norm between two stages
        for conv, geometry in stage:
            if isinstance(layer, Conv):
                _check_padding(layer, op, geometry, size)
                size = geometry.output(*size)
            weights = conv.out_channels * conv.in_channels // conv.groups * math.prod(geometry.kernel)
            params += weights
            madds += weights * math.prod(size)
    return Cost(params + (after if layer.bias is not None else 0), madds)


def nothing(layer: nn.Module) -> nn.Module:
    """Zeros of the shape that a convolution, a linear layer, or any layer that keeps the shape would give."""
    if type(layer) in CONVOLUTIONS:
        return _zeros(cast(Conv, layer), geometry_of(cast(Conv, layer)))
    if type(layer) is nn.MultiheadAttention:
        return NoAttention()
    return ZerosLike(layer.out_features if type(layer) is nn.Linear else None)


def _check_padding(layer: Conv, op: Operation, geometry: Geometry, size: tuple[int, ...]) -> None:
    """ValueError where the pixels that padding repeats are more than there are."""
    room = {"reflect": -1, "circular": 0}.get(layer.padding_mode)
    if room is not None and any(max(w.before, w.after) > n + room for w, n in zip(geometry, size, strict=True)):
        raise ValueError(
            f"{op.name}: {layer.padding_mode} padding of {max(geometry.padding)} pixels does not fit a map of "
            f"{'×'.join(map(str, size))}"
        )


def _steps(layer: Conv | nn.Linear, op: Operation) -> tuple[tuple[_Step, ...], ...]:
    """The convolutions of an operation in the layer's place, stage after stage.

    Along each axis the first kernel above 1 (or the first convolution) takes the layer's stride and place; the others
    keep the size. Dilations multiply the layer's. The last convolution gives the layer's output channels.
    """
    before, after = channels_of(layer)
    groups = layer.groups if isinstance(layer, Conv) else 1
    if groups > 1:
        dilation, kernel = 2 if op.type == "dil_conv" else 1, (op.kernel, op.kernel)
        plan = [[Convolution(before, after, kernel, dilation=dilation, groups=groups)]]
    else:
        plan = [list(stage) for stage in stages(op.name, before, out_channels=after if op.is_low_rank else before)]
        plan[-1][-1] = plan[-1][-1]._replace(out_channels=after)
    convolutions = list(chain(*plan))
    windows, index = geometry_of(layer), count()
    kernels = [_kernel(conv, len(windows)) for conv in convolutions]
    entries = [next((i for i, k in enumerate(kernels) if k[axis] > 1), 0) for axis in range(len(windows))]
    return tuple(tuple(_step(conv, windows, entries, next(index)) for conv in stage) for stage in plan)


def _kernel(conv: Convolution, axes: int) -> tuple[int, ...]:
    """Along each axis of the layer; one that is not square is of two."""
    return conv.kernel if axes == 2 else conv.kernel[:1] * axes


def _step(conv: Convolution, layer: Geometry, entries: list[int], index: int) -> _Step:
    windows = []
    for window, kernel, entry in zip(layer, _kernel(conv, len(layer)), entries, strict=True):
        dilation = conv.dilation * window.dilation
        own = window.with_kernel(kernel, dilation) if index == entry else Window.keeping(kernel, dilation)
        windows.append(own)
    return _Step(conv, Geometry(windows))


def _convolutions(layer: Conv | nn.Linear, op: Operation) -> nn.Module:
    steps = _steps(layer, op)
    parts: list[nn.Module] = []
    for i, stage in enumerate(steps):
        if i:
            norm, weight = of_axes("BatchNorm", axes_of(layer)), layer.weight
            parts += [norm(channels_of(layer)[0], device=weight.device, dtype=weight.dtype), nn.ReLU()]
        for step in stage:
            last = step is steps[-1][-1]
            parts += _convolution(layer, step, bias=last and layer.bias is not None)
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _convolution(layer: Conv | nn.Linear, step: _Step, *, bias: bool) -> Iterator[nn.Module]:
    conv, geometry = step
    if isinstance(layer, nn.Linear):
        weight = layer.weight
        yield nn.Linear(conv.in_channels, conv.out_channels, bias, device=weight.device, dtype=weight.dtype)
        return
    yield from _crop(geometry)
    geometry = geometry.inside
    padding = geometry.symmetric_padding
    if padding is None:
        yield _pad(geometry.padding, layer.padding_mode)
    yield of_axes("Conv", len(geometry))(
        conv.in_channels,
        conv.out_channels,
        geometry.kernel,
        geometry.stride,
        padding or 0,
        geometry.dilation,
        conv.groups,
        bias,
        layer.padding_mode,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )


def _crop(geometry: Geometry) -> list[nn.Module]:
    """What comes first where the layer's place is smaller than its input."""
    return [Crop(geometry.border)] if any(geometry.border) else []


def _pad(padding: tuple[int, ...], mode: str, fill: float = 0.0) -> nn.Module:
    """`padding` as torch.nn.functional.pad takes it."""
    axes = len(padding) // 2
    pad: nn.Module = (
        of_axes("ConstantPad", axes)(padding, fill) if mode == "constant" else of_axes(_PADS[mode], axes)(padding)
    )
    return pad


def _pooling(op: Operation, layer: Geometry, *, ceil: bool) -> nn.Module:
    geometry, axes = layer.with_kernel(op.kernel), len(layer)
    parts = [*_crop(geometry), *_pooled(op, geometry.inside, axes, ceil)]
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _pooled(op: Operation, geometry: Geometry, axes: int, ceil: bool) -> Iterator[nn.Module]:
    """A pooling that crops nothing: torch's own where its padding allows, or what does the same."""
    stride, padding = geometry.stride, geometry.symmetric_padding
    native = padding is not None and max(padding) <= op.kernel // 2
    # torch's AvgPool3d alone refuses maps smaller than its kernel before they are padded
    native = native and (axes < 3 or op.type == "max_pool" or ceil)
    own = padding if native and padding is not None else (0,) * axes
    if op.type == "max_pool":
        if not native:
            yield _pad(geometry.padding, "constant", -torch.inf)
        yield of_axes("MaxPool", axes)(op.kernel, stride, own, ceil_mode=ceil)
    elif native:
        yield of_axes("AvgPool", axes)(op.kernel, stride, own, ceil_mode=ceil, count_include_pad=False)
    else:
        yield PaddedAverage(op.kernel, stride, geometry.padding)


def _zeros(layer: Layer, geometry: Geometry) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return ZerosLike(layer.out_features)
    margin = tuple(window.margin for window in geometry)
    return Zeros(layer.out_channels if isinstance(layer, Conv) else None, geometry.stride, margin)
