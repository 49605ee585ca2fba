"""What takes the place of a convolution, linear layer, pooling or block of a user's network.

A replacement gives outputs of the layer's shape (channels, rows, columns) at every input size, and consists of torch's
own layers where torch has them. What it gives is a tensor of its own, as the layer's output was: the code around it may
write to that, or to what the replacement read (ReLU(inplace=True), +=). A convolution of a user's network stands where
its batch-norm and activation follow it, so the ReLU in front and the batch-norm at the end that
`natrl.networks.operations` has are left out: both are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from typing import Any, cast, NamedTuple

import torch
from torch import nn

from natrl.core.operations import Convolution, Cost, Operation, operation, stages, VOCABULARY
from natrl.core.transitions import KERNEL_LADDER
from natrl.modules.replace.geometry import channels_of, Geometry, geometry_of, Layer, LAYERS, Window
from natrl.modules.replace.stand_ins import Copy, NoAttention, PaddedAverage, Zeros, ZerosLike
from natrl.modules.replace.subclasses import is_plain_layer

__all__ = ["description", "held_by", "nothing", "operation_of", "replacement", "replacement_cost"]

_PADS: dict[str, Any] = {
    "zeros": nn.ZeroPad2d,
    "reflect": nn.ReflectionPad2d,
    "replicate": nn.ReplicationPad2d,
    "circular": nn.CircularPad2d,
}


def operation_of(layer: nn.Module) -> str | None:
    """The operation of the vocabulary that a layer holds, such as "conv_3x3"; None if there is none.

    Only torch's own types count (a subclass may do something else), and layers that only make their weights
    (`is_plain_layer`). Stride, padding, dilation, channels, groups and bias belong to the layer's place in its network,
    not to its operation: a depthwise convolution is a convolution. One of another kernel, such as 4×4 or 1×7, counts as
    the next larger square one, or as the largest (`description` says what it is). A linear layer is a 1×1 convolution
    of its positions.
    """
    if isinstance(layer, nn.Conv2d | nn.Linear) and not is_plain_layer(layer):
        return None
    if isinstance(layer, nn.Linear):
        return "conv_1x1"
    if isinstance(layer, nn.Conv2d):
        largest = max(layer.kernel_size)
        return Operation("conv", next((k for k in reversed(KERNEL_LADDER) if k >= largest), KERNEL_LADDER[0])).name
    if type(layer) is nn.MaxPool2d:
        kind = "max_pool" if not layer.return_indices and set(_pairs(layer.dilation)) == {1} else None
    elif type(layer) is nn.AvgPool2d:
        kind = "avg_pool" if layer.divisor_override is None else None
    else:
        kind = None
    if kind is None:
        return None
    rows, columns = geometry_of(cast(Layer, layer))
    name = Operation(kind, rows.kernel).name
    return name if rows.kernel == columns.kernel and name in VOCABULARY else None


def held_by(layer: nn.Module) -> str:
    """The operation in a slot, whatever its layer is: a module that holds none by itself is a block."""
    return operation_of(layer) or "block"


def description(layer: nn.Module) -> str:
    """What a slot's layer is, in the operation's terms: "conv_1x7", "conv_3x3 in 16 groups", "linear".

    Of a block the name of its type.
    """
    if not isinstance(layer, nn.Conv2d):
        held = operation_of(layer)
        return "linear" if isinstance(layer, nn.Linear) else held or type(layer).__name__
    rows, columns = layer.kernel_size
    groups = f" in {layer.groups} groups" if layer.groups > 1 else ""
    return f"conv_{rows}x{columns}{groups}"


def _pairs(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


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
    op = _possible(layer, operation)
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
        module = _convolutions(cast(nn.Conv2d | nn.Linear, layer), op)
    return module.train(layer.training)


def replacement_cost(layer: nn.Module, operation: str, height: int, width: int) -> Cost:
    """Cost of `replacement(layer, operation)` for one image of height × width pixels at its input.

    Of a linear layer: for height × width positions. Parameters include biases and the inner batch-norm; MAdds are those
    of convolutions and linear layers. ValueError as `replacement`, and where the layer's kind of padding needs a larger
    map.
    """
    op = _possible(layer, operation)
    if not isinstance(layer, nn.Conv2d | nn.Linear) or op.is_pooling or op.type in ("skip_connect", "null"):
        return Cost()
    before, after = channels_of(layer)
    params = madds = 0
    for i, stage in enumerate(_steps(layer, op)):
        params += 2 * before if i else 0  # of the batch-norm between two stages
        for conv, geometry in stage:
            if isinstance(layer, nn.Conv2d):
                _check_padding(layer, op, geometry, height, width)
            height, width = geometry.output(height, width)
            params += conv.weights
            madds += conv.weights * height * width
    return Cost(params + (after if layer.bias is not None else 0), madds)


def nothing(layer: nn.Module) -> nn.Module:
    """Zeros of the shape that a convolution, a linear layer, or any layer that keeps the shape would give."""
    if type(layer) is nn.Conv2d:
        return _zeros(layer, geometry_of(layer))
    if type(layer) is nn.MultiheadAttention:
        return NoAttention()
    return ZerosLike(layer.out_features if type(layer) is nn.Linear else None)


def _possible(layer: nn.Module, name: str) -> Operation:
    """The operation, if the layer can become it. ValueError with the reason if not."""
    op = operation(name)
    if not isinstance(layer, LAYERS):
        if op.type == "null":
            return op
        others = "a Conv2d, Linear, MaxPool2d or AvgPool2d has others"
        raise ValueError(f"a {type(layer).__name__} has no replacement but null; {others}")
    if isinstance(layer, nn.Linear):
        _possible_linear(layer, op)
    elif isinstance(layer, nn.Conv2d):
        _possible_convolution(layer, op)
    else:
        _possible_pooling(layer, op)
    geometry = geometry_of(layer)
    if op.type == "skip_connect" and not geometry.keeps_size:
        raise ValueError(f"{op.name} needs stride 1 and an output as large as the input")
    if op.is_pooling:
        for window in geometry.with_kernel((op.kernel, op.kernel)):
            if max(window.before, window.after) >= op.kernel:
                raise ValueError(f"{op.name}: some of its windows would lie outside the image, in the padding")
    return op


def _possible_linear(layer: nn.Linear, op: Operation) -> None:
    if op.is_low_rank:
        _possible_rank(layer, op)
    elif op.type == "skip_connect" and layer.in_features != layer.out_features:
        raise ValueError(
            f"{op.name} needs as many output as input channels, got {layer.in_features} → {layer.out_features}"
        )
    elif op.type not in ("skip_connect", "null") and op.name != "conv_1x1":
        raise ValueError(
            f"a linear layer reads no neighbours: it becomes a low rank, skip_connect or null, not {op.name}"
        )


def _possible_rank(layer: nn.Conv2d | nn.Linear, op: Operation) -> None:
    before, after = channels_of(layer)
    rank = op.rank(before, after)
    if rank * (before + after) >= before * after:
        raise ValueError(
            f"{op.name} saves nothing: {before} → {rank} → {after} channels have as many weights as {before} → {after}"
        )


def _possible_convolution(layer: nn.Conv2d, op: Operation) -> None:
    if op.is_low_rank:
        if layer.groups != 1 or layer.kernel_size != (1, 1):
            pointwise = "a dense 1×1 convolution or of a linear layer"
            raise ValueError(f"{op.name} takes the place of {pointwise}, and this one is {description(layer)}")
        _possible_rank(layer, op)
    if layer.groups != 1 and op.type in ("sep_conv", "conv_1xk_kx1"):
        raise ValueError(f"{op.name} takes a dense convolution's place, and this one has {layer.groups} groups")
    if (op.is_pooling or op.type == "skip_connect") and layer.in_channels != layer.out_channels:
        raise ValueError(
            f"{op.name} needs as many output as input channels, got {layer.in_channels} → {layer.out_channels}"
        )


def _possible_pooling(layer: nn.MaxPool2d | nn.AvgPool2d, op: Operation) -> None:
    if not op.is_pooling and op.type not in ("skip_connect", "null"):
        raise ValueError(f"a pooling becomes another pooling, skip_connect or null, not {op.name}")
    if isinstance(layer, nn.MaxPool2d) and layer.return_indices:
        raise ValueError("a pooling that returns indices has no replacement: something reads them")
    rows, columns = geometry_of(layer)
    rounds_up = layer.ceil_mode and (rows.stride, columns.stride) != (1, 1)
    same = op.is_pooling and (rows.kernel, rows.dilation) == (columns.kernel, columns.dilation) == (op.kernel, 1)
    if rounds_up and not same:
        raise ValueError(f"{op.name}: a pooling with ceil_mode keeps its kernel, or its output may be smaller")


def _check_padding(layer: nn.Conv2d, op: Operation, geometry: Geometry, height: int, width: int) -> None:
    """ValueError where the pixels that padding repeats are more than there are."""
    left, right, top, bottom = geometry.padding
    room = {"reflect": -1, "circular": 0}.get(layer.padding_mode)
    if room is not None and (max(top, bottom) > height + room or max(left, right) > width + room):
        raise ValueError(
            f"{op.name}: {layer.padding_mode} padding of {max(geometry.padding)} pixels does not fit a map of "
            f"{height}×{width}"
        )


def _steps(layer: nn.Conv2d | nn.Linear, op: Operation) -> tuple[tuple[_Step, ...], ...]:
    """The convolutions of an operation in the layer's place, stage after stage.

    Along each axis the first kernel above 1 (or the first convolution) takes the layer's stride and place; the others
    keep the size. Dilations multiply the layer's. The last convolution gives the layer's output channels.
    """
    before, after = channels_of(layer)
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    if groups > 1:
        dilation, kernel = 2 if op.type == "dil_conv" else 1, (op.kernel, op.kernel)
        plan = [[Convolution(before, after, kernel, dilation=dilation, groups=groups)]]
    else:
        plan = [list(stage) for stage in stages(op.name, before, out_channels=after if op.is_low_rank else before)]
        plan[-1][-1] = plan[-1][-1]._replace(out_channels=after)
    convolutions = list(chain(*plan))
    entries = [next((i for i, c in enumerate(convolutions) if c.kernel[axis] > 1), 0) for axis in (0, 1)]
    windows, index = geometry_of(layer), count()
    return tuple(tuple(_step(conv, windows, entries, next(index)) for conv in stage) for stage in plan)


def _step(conv: Convolution, layer: Geometry, entries: list[int], index: int) -> _Step:
    windows = []
    for window, kernel, entry in zip(layer, conv.kernel, entries, strict=True):
        dilation = conv.dilation * window.dilation
        own = window.with_kernel(kernel, dilation) if index == entry else Window.keeping(kernel, dilation)
        windows.append(own)
    return _Step(conv, Geometry(*windows))


def _convolutions(layer: nn.Conv2d | nn.Linear, op: Operation) -> nn.Module:
    steps = _steps(layer, op)
    parts: list[nn.Module] = []
    for i, stage in enumerate(steps):
        if i:
            weight = layer.weight
            parts += [nn.BatchNorm2d(channels_of(layer)[0], device=weight.device, dtype=weight.dtype), nn.ReLU()]
        for step in stage:
            last = step is steps[-1][-1]
            parts += _convolution(layer, step, bias=last and layer.bias is not None)
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def _convolution(layer: nn.Conv2d | nn.Linear, step: _Step, *, bias: bool) -> Iterator[nn.Module]:
    conv, geometry = step
    if isinstance(layer, nn.Linear):
        weight = layer.weight
        yield nn.Linear(conv.in_channels, conv.out_channels, bias, device=weight.device, dtype=weight.dtype)
        return
    padding = geometry.symmetric_padding
    if padding is None:
        yield from _pads(geometry.padding, layer.padding_mode)
    yield nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel,
        (geometry.rows.stride, geometry.columns.stride),
        padding or 0,
        (geometry.rows.dilation, geometry.columns.dilation),
        conv.groups,
        bias,
        layer.padding_mode,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )


def _pads(padding: tuple[int, int, int, int], mode: str, fill: float = 0.0) -> Iterator[nn.Module]:
    """Crops where it is negative, then pads: `padding` is left, right, top, bottom."""
    if min(padding) < 0:
        yield nn.ZeroPad2d(tuple(min(0, p) for p in padding))  # type: ignore[arg-type]
    if max(padding) > 0:
        more = tuple(max(0, p) for p in padding)
        yield nn.ConstantPad2d(more, fill) if mode == "constant" else _PADS[mode](more)  # type: ignore[arg-type]


def _pooling(op: Operation, layer: Geometry, *, ceil: bool) -> nn.Module:
    geometry = layer.with_kernel((op.kernel, op.kernel))
    stride, padding = (geometry.rows.stride, geometry.columns.stride), geometry.symmetric_padding
    native = padding is not None and max(padding) <= op.kernel // 2
    own = padding if native and padding is not None else (0, 0)
    if op.type == "max_pool":
        pads = () if native else _pads(geometry.padding, "constant", -torch.inf)
        parts = [*pads, nn.MaxPool2d(op.kernel, stride, own, ceil_mode=ceil)]
        return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
    if native:
        return nn.AvgPool2d(op.kernel, stride, own, ceil_mode=ceil, count_include_pad=False)
    return PaddedAverage(op.kernel, stride, geometry.padding)


def _zeros(layer: Layer, geometry: Geometry) -> nn.Module:
    if isinstance(layer, nn.Linear):
        return ZerosLike(layer.out_features)
    stride, margin = (geometry.rows.stride, geometry.columns.stride), (geometry.rows.margin, geometry.columns.margin)
    return Zeros(layer.out_channels if isinstance(layer, nn.Conv2d) else None, stride, margin)
