"""Layers with fewer channels: which channels a group keeps, and the layers of the group without the others.

Those go whose share in what the consumers read is the least by weights: the norm of what makes the channel (times the
scale of a batch-norm; of several layers that make it the root of the sum of squares) times the norm of what reads it.
Narrower widths keep a part of what wider ones keep.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, cast

import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from natrl.core.operations import WIDTHS
from natrl.modules.replace.geometry import Conv
from natrl.modules.replace.subclasses import kernel_of
from natrl.modules.trace.groups import Group, is_depthwise

__all__ = ["Ends", "Narrowing", "WidthSlot", "ends_of", "narrowed", "resized", "sizes_of"]


@dataclass(frozen=True)
class WidthSlot:
    """The channels that layers of a network share: a slot, whose operations are widths."""

    index: int  # of the slot among the architecture's operations
    name: str  # of the layer that makes the channels, and ".channels"
    group: Group
    sizes: Mapping[str, int]  # how many channels each width that the slot may hold has

    operation = "channels"


def sizes_of(channels: int, multiple: int) -> dict[str, int]:
    """How many channels each width has: the share rounded down to a multiple, at least one; only those that differ."""
    sizes = {"channels": channels}
    for name, share in WIDTHS.items():
        size = max(1, int(Fraction(channels, multiple) * share)) * multiple
        if size < min(sizes.values()):
            sizes[name] = size
    return sizes


#: The widths whose channels a layer reads, and makes.
Ends = tuple[WidthSlot | None, WidthSlot | None]


def ends_of(widths: Sequence[WidthSlot]) -> dict[str, Ends]:
    """By name, for layers that a width changes. What works on each channel by itself has one end, its outputs."""
    found: dict[str, Ends] = {}
    for width in widths:
        for name in (*width.group.producers, *width.group.followers):
            found[name] = found.get(name, (None, None))[0], width
        for name in width.group.consumers:
            found[name] = width, found.get(name, (None, None))[1]
    return found


class Narrowing:
    """The layers of a network at every width of its groups."""

    def __init__(self, model: nn.Module, widths: Sequence[WidthSlot]) -> None:
        self._model, self._widths = model, {width.name: width for width in widths}

    @cached_property
    def _order(self) -> dict[str, Tensor]:
        """int64 (channels,) of each group: its channels, those that matter most first."""
        return {name: _importance(self._model, w.group).argsort(descending=True) for name, w in self._widths.items()}

    def kept(self, name: str, operation: str) -> Tensor | None:
        """int64: the channels of a group that a width keeps, in their order; None: all of them."""
        size = self._widths[name].sizes.get(operation)
        if size is None or size == self._widths[name].group.channels:
            return None
        return self._order[name][:size].sort().values

    def ends(self, operations: Mapping[str, str]) -> dict[str, tuple[Tensor | None, Tensor | None]]:
        """The inputs and outputs that each layer keeps which gets narrower; None: all. `operations`: by slot."""
        kept = {name: self.kept(name, operations[name]) for name in self._widths}
        found: dict[str, tuple[Tensor | None, Tensor | None]] = {}
        for layer, (into, out) in ends_of(list(self._widths.values())).items():
            inputs, outputs = (None if end is None else kept[end.name] for end in (into, out))
            if into is not None and inputs is not None:
                count = into.group.consumers[layer]
                inputs = (inputs[:, None] * count + torch.arange(count, device=inputs.device)).flatten()
            if inputs is not None or outputs is not None:
                found[layer] = inputs, outputs
        return found

    def layers(self, operations: Mapping[str, str]) -> dict[str, nn.Module]:
        """By name the layers that get narrower, with the weights of the channels that stay."""
        ends = self.ends(operations).items()
        return {name: narrowed(self._model.get_submodule(name), *kept) for name, kept in ends}


@torch.no_grad()
def narrowed(layer: nn.Module, inputs: Tensor | None, outputs: Tensor | None) -> nn.Module:
    """A copy of a dense or depthwise layer or batch-norm that reads and gives some channels; None: all of them."""
    new = copy.deepcopy(layer)
    for held in cast(list[dict[str, Any]], [new._parameters, new._buffers]):
        for name, tensor in held.items():
            if tensor is None or not tensor.dim():
                continue
            kept = tensor if outputs is None else tensor[outputs.to(tensor.device)]
            if inputs is not None and kept.dim() > 1:
                kept = kept[:, inputs.to(tensor.device)]
            if isinstance(tensor, nn.Parameter):
                kept = nn.Parameter(kept.clone(), requires_grad=tensor.requires_grad)
            held[name] = kept
    _say(new, None if inputs is None else len(inputs), None if outputs is None else len(outputs))
    return new


def resized(layer: nn.Module, before: int, after: int) -> nn.Module:
    """A dense or depthwise layer with other numbers of channels and no data: for what it would cost."""
    groups = layer.groups if isinstance(layer, Conv) else 1
    with torch.no_grad():
        new = copy.copy(layer)
        new._parameters = dict(layer._parameters)
        weight = cast(Tensor, layer.weight)
        shape = (after, before if groups == 1 else 1, *weight.shape[2:])
        new._parameters["weight"] = nn.Parameter(weight.new_empty(shape, device="meta"))
        if layer.bias is not None:
            new._parameters["bias"] = nn.Parameter(weight.new_empty(after, device="meta"))
    _say(new, before if groups == 1 else None, after)
    return new


def _say(layer: nn.Module, inputs: int | None, outputs: int | None) -> None:
    """What the layer says of itself."""
    depthwise = is_depthwise(layer)
    if isinstance(layer, _BatchNorm):
        layer.num_features = outputs or layer.num_features
    elif isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = inputs or layer.in_features, outputs or layer.out_features
    elif isinstance(layer, Conv):
        layer.in_channels, layer.out_channels = inputs or layer.in_channels, outputs or layer.out_channels
        if depthwise:
            layer.in_channels = layer.groups = layer.out_channels


@torch.no_grad()
def _importance(model: nn.Module, group: Group) -> Tensor:
    """float64 (channels,): the product of the norms of what makes, scales and reads each channel."""
    made = [_made(model, name, after) for name, after in group.producers.items()]
    found = torch.stack(made).norm(dim=0)
    reading = torch.zeros_like(found)
    for name, count in group.consumers.items():
        weight = kernel_of(cast(Conv | nn.Linear, model.get_submodule(name))).double()
        reading += weight.pow(2).sum((0, *range(2, weight.dim()))).unflatten(0, (-1, count)).sum(1)
    return found * reading.sqrt()


def _made(model: nn.Module, producer: str, followers: Sequence[str]) -> Tensor:
    """float64 (channels,): the norms of what one layer makes, scaled by what follows it."""
    found = kernel_of(cast(Conv | nn.Linear, model.get_submodule(producer))).flatten(1).double().norm(dim=1)
    for name in followers:
        layer = model.get_submodule(name)
        if isinstance(layer, _BatchNorm):
            if layer.weight is not None:
                found = found * layer.weight.abs()
            if layer.running_var is not None:
                found = found / (layer.running_var + layer.eps).sqrt()
        else:
            found = found * kernel_of(cast(Conv, layer)).flatten(1).norm(dim=1)
    return found
