"""What the layers of a trained network give on unlabelled images: what replacements are fitted to.

R rows (pixels of a layer's output), O output channels.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from natrl.modules.replace.geometry import channel_axis, images_of
from natrl.training.modes import in_mode, recalibrating

__all__ = ["Reference", "Rows", "at_pixels"]

ROWS = 8192  # pixels of a layer's output that are fitted


class Rows(NamedTuple):
    """What a trained layer gave at R pixels, or positions of a linear layer, each of which is an image of one pixel."""

    pixels: Tensor  # int64 (1 + axes, R): image, row, column
    values: Tensor  # (R, O)
    normalised: bool  # a batch-norm reads the layer's output: its mean does not matter


class Reference:
    """What the layers of a trained network give on unlabelled images, at pixels drawn by a seed."""

    @torch.no_grad()
    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        *inputs: Tensor,
        rows: int = ROWS,
        seed: int = 0,
        recalibrate: bool = False,
    ) -> None:
        """`names` of the layers, `inputs` as the model takes them, on its device. A layer's first call counts.

        `recalibrate`: the model's batch-norms take over the statistics of the inputs. ValueError where a layer is not
        run.
        """
        self.inputs = inputs
        self.layers: dict[str, Rows] = {}
        self.repeated: set[str] = set()  # layers that are called more than once
        self._rows = rows
        self._generator = torch.Generator().manual_seed(seed)
        self._outputs: dict[str, weakref.ref[Tensor]] = {}
        with recalibrating(model) if recalibrate else in_mode(model, training=False), ExitStack() as hooks:
            for name in names:
                layer = model.get_submodule(name)
                hooks.enter_context(layer.register_forward_hook(partial(self._record, name)))
            for norm in model.modules():
                if isinstance(norm, _BatchNorm):
                    hooks.enter_context(norm.register_forward_pre_hook(self._mark_normalised))
            model(*inputs)
        for name in names:
            if name not in self.layers:
                raise ValueError(f"layer {name!r} is not run by the network")

    def _record(self, name: str, layer: nn.Module, _: Any, output: Tensor) -> None:
        if name in self.layers:
            self.repeated.add(name)
        else:
            images = images_of(layer, output.shape)
            pixels = _draw_pixels(images, self._rows, self._generator).to(output.device)
            self.layers[name] = Rows(pixels, at_pixels(layer, output, pixels), False)
            self._outputs[name] = weakref.ref(output)

    def _mark_normalised(self, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        for name, output in self._outputs.items():
            if output() is arguments[0]:
                self.layers[name] = self.layers[name]._replace(normalised=True)


def at_pixels(layer: nn.Module, output: Tensor, pixels: Tensor) -> Tensor:
    """(R, O): of what a layer gives."""
    if channel_axis(layer) == -1:
        return output.flatten(0, -2)[pixels[0]]
    return output[(pixels[0], slice(None), *pixels[1:])]


def _draw_pixels(shape: tuple[int, ...], rows: int, generator: torch.Generator) -> Tensor:
    """int64 (1 + axes, R): different pixels of maps of shape (N, H, W), say, at most `rows` of them."""
    flat = torch.randperm(math.prod(shape), generator=generator)[:rows].sort().values
    return torch.stack(torch.unravel_index(flat, shape))
