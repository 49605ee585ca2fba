"""Which operation a layer of a user's network holds, and what it is in the operation's terms."""

from __future__ import annotations

from typing import cast

from torch import nn

from natrl.core.operations import Operation, operation, VOCABULARY
from natrl.core.transitions import KERNEL_LADDER
from natrl.modules.replace.geometry import AVG_POOLINGS, axes_of, Conv, geometry_of, Layer, MAX_POOLINGS, Pool
from natrl.modules.replace.subclasses import is_plain_layer

__all__ = ["description", "held_by", "operation_of"]


def operation_of(layer: nn.Module) -> str | None:
    """The operation of the vocabulary that a layer holds, such as "conv_3x3"; None if there is none.

    Only torch's own types count (a subclass may do something else), and layers that only make their weights
    (`is_plain_layer`). Stride, padding, dilation, channels, groups and bias belong to the layer's place in its network,
    not to its operation: a depthwise convolution is a convolution. One of another kernel, such as 4×4 or 1×7, counts as
    the next larger square one, or as the largest (`description` says what it is). A linear layer is a 1×1 convolution
    of its positions.
    """
    if isinstance(layer, Conv | nn.Linear) and not is_plain_layer(layer):
        return None
    if isinstance(layer, nn.Linear):
        return "conv_1x1"
    if isinstance(layer, Conv):
        largest = max(layer.kernel_size)
        return Operation("conv", next((k for k in reversed(KERNEL_LADDER) if k >= largest), KERNEL_LADDER[0])).name
    if type(layer) not in (*MAX_POOLINGS, *AVG_POOLINGS):
        return None
    geometry = geometry_of(cast(Pool, layer))
    own = getattr(layer, "return_indices", False) or getattr(layer, "divisor_override", None) is not None
    if own or set(geometry.dilation) != {1} or len(set(geometry.kernel)) > 1:
        return None
    name = Operation("max_pool" if type(layer) in MAX_POOLINGS else "avg_pool", geometry.kernel[0]).name
    return name if name in VOCABULARY else None


def held_by(layer: nn.Module) -> str:
    """The operation in a slot, whatever its layer is: a module that holds none by itself is a block."""
    return operation_of(layer) or "block"


def description(layer: nn.Module) -> str:
    """What a slot's layer is, in the operation's terms: "conv_1x7", "conv_3x3 in 16 groups", "max_pool_2", "linear".

    Of a block the name of its type.
    """
    held = operation_of(layer)
    if isinstance(layer, nn.Linear):
        return "linear"
    if held is None or not axes_of(layer):
        return type(layer).__name__
    kernel = "x".join(map(str, geometry_of(cast(Layer, layer)).kernel))
    groups = f" in {layer.groups} groups" if isinstance(layer, Conv) and layer.groups > 1 else ""
    return f"{operation(held).type}_{kernel}{groups}"
