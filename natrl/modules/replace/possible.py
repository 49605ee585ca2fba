"""Whether a layer of a user's network can become an operation, and why not."""

from __future__ import annotations

from torch import nn

from natrl.core.operations import Operation, operation
from natrl.modules.replace.geometry import axes_of, channels_of, Conv, geometry_of, LAYERS, Pool
from natrl.modules.replace.held import description

__all__ = ["possible"]


def possible(layer: nn.Module, name: str) -> Operation:
    """The operation, if the layer can become it. ValueError with the reason if not."""
    op = operation(name)
    if not isinstance(layer, LAYERS):
        if op.type == "null":
            return op
        others = "a convolution, Linear, MaxPool or AvgPool has others"
        raise ValueError(f"a {type(layer).__name__} has no replacement but null; {others}")
    if isinstance(layer, nn.Linear):
        _possible_linear(layer, op)
    elif isinstance(layer, Conv):
        _possible_convolution(layer, op)
    else:
        _possible_pooling(layer, op)
    geometry = geometry_of(layer)
    if op.type == "skip_connect" and not geometry.keeps_size:
        raise ValueError(f"{op.name} needs stride 1 and an output as large as the input")
    if op.is_pooling:
        for window in geometry.with_kernel(op.kernel):
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


def _possible_rank(layer: Conv | nn.Linear, op: Operation) -> None:
    before, after = channels_of(layer)
    rank = op.rank(before, after)
    if rank * (before + after) >= before * after:
        raise ValueError(
            f"{op.name} saves nothing: {before} → {rank} → {after} channels have as many weights as {before} → {after}"
        )


def _possible_convolution(layer: Conv, op: Operation) -> None:
    if op.is_low_rank:
        if layer.groups != 1 or max(layer.kernel_size) > 1:
            pointwise = "a dense 1×1 convolution or of a linear layer"
            raise ValueError(f"{op.name} takes the place of {pointwise}, and this one is {description(layer)}")
        _possible_rank(layer, op)
    if op.type == "conv_1xk_kx1" and axes_of(layer) != 2:
        raise ValueError(f"{op.name} goes along rows, then along columns, and a {type(layer).__name__} has others")
    if layer.groups != 1 and op.type in ("sep_conv", "conv_1xk_kx1"):
        raise ValueError(f"{op.name} takes a dense convolution's place, and this one has {layer.groups} groups")
    if (op.is_pooling or op.type == "skip_connect") and layer.in_channels != layer.out_channels:
        raise ValueError(
            f"{op.name} needs as many output as input channels, got {layer.in_channels} → {layer.out_channels}"
        )


def _possible_pooling(layer: Pool, op: Operation) -> None:
    if not op.is_pooling and op.type not in ("skip_connect", "null"):
        raise ValueError(f"a pooling becomes another pooling, skip_connect or null, not {op.name}")
    if getattr(layer, "return_indices", False):
        raise ValueError("a pooling that returns indices has no replacement: something reads them")
    geometry = geometry_of(layer)
    rounds_up = layer.ceil_mode and max(geometry.stride) > 1
    same = op.is_pooling and {(w.kernel, w.dilation) for w in geometry} == {(op.kernel, 1)}
    if rounds_up and not same:
        raise ValueError(f"{op.name}: a pooling with ceil_mode keeps its kernel, or its output may be smaller")
