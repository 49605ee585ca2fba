"""Layers of a network with fewer channels, at one end after the other: for what they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn, Tensor

from natrl.modules.replace.geometry import channel_axis, channels_of
from natrl.modules.replace.widths import ends_of, narrowed
from natrl.modules.space import ModuleSpace
from natrl.modules.trace.groups import is_depthwise

__all__ = ["Narrow", "narrow_layers", "place_of"]

ENDS = ("inputs", "outputs")


class Narrow(NamedTuple):
    """The layer of a slot as it is, but for its channels at one end."""

    name: str  # of the slot
    place: str  # the end, and the width there
    layer: nn.Module
    inputs: int  # channels that it reads

    def given(self, tensors: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the layer is called with, with the first of the channels."""
        first, *others = tensors
        assert isinstance(first, Tensor)
        part = first.narrow(channel_axis(self.layer), 0, self.inputs)
        last = first.dim() == 4 and first.is_contiguous(memory_format=torch.channels_last)
        return part.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format), *others


def place_of(end: int, width: str) -> str:
    """The end, 0 or 1, and the width there."""
    return f"{ENDS[end]} {width}"


def narrow_layers(space: ModuleSpace) -> Iterator[Narrow]:
    """The layers of slots that can get narrower, at each width of either end."""
    ends = ends_of(space.widths)
    for slot in space.slots:
        for end, width in enumerate(ends.get(slot.name, ())):
            if width is None:
                continue
            layer = space.model.get_submodule(slot.name)
            before, _ = channels_of(layer)  # type: ignore[arg-type]  # it is dense or depthwise
            for operation, size in list(width.sizes.items())[1:]:
                if end == 0:
                    inputs = size * width.group.consumers[slot.name]
                    yield Narrow(slot.name, place_of(0, operation), narrowed(layer, torch.arange(inputs), None), inputs)
                else:
                    outputs = narrowed(layer, None, torch.arange(size))
                    yield Narrow(slot.name, place_of(1, operation), outputs, size if is_depthwise(layer) else before)
