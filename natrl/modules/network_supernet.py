"""A network with all its choices: every slot holds each operation that it may become; the trained weights are shared.

Choices start from the trained layer (natrl.modules.inherit); all layers that are no slots are one for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, ExitStack, suppress
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn, Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from natrl.core.architecture import Architecture
from natrl.modules.inherit.least_squares import fit_layer
from natrl.modules.inherit.reference import Reference
from natrl.modules.replace.copies import copied
from natrl.modules.replace.fast_paths import calling_parts
from natrl.modules.replace.geometry import channel_axis, Conv
from natrl.modules.replace.replacements import nothing, replacement
from natrl.modules.space import ModuleSlot, ModuleSpace
from natrl.training.fitting import MEASURING_BATCH
from natrl.training.modes import in_mode, recalibrating
from natrl.training.thin import guard_thin
from natrl.training.weight_settings import INHERITED

__all__ = ["Alternatives", "ModuleSupernet"]


PRESENT = "layer"


class Alternatives(nn.Module):
    """The operations that a slot may hold, of which one is active."""

    def __init__(self, held: str, operations: dict[str, nn.Module]) -> None:
        super().__init__()
        self.operations = nn.ModuleDict(operations)
        self.operations.training = self.training = operations[held].training
        self.active = held
        self._axis = channel_axis(operations[held])
        self.read: Tensor | None = None  # of the inputs 1 where it is read and 0 where not, by channel; None: all

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.read is not None:
            x, *others = args
            shape = [1] * x.dim()
            shape[self._axis] = -1
            args = (x * self.read.to(x).reshape(shape), *others)
        return self.operations[self.active](*args, **kwargs)

    def extra_repr(self) -> str:
        return f"active={self.active}"


class ModuleSupernet(nn.Module):
    """A copy of a space's network in which every slot with a choice has all of its operations.

    Channels that a width leaves out are there, and what reads them reads zeros. The path of the original computes the
    same as the network, to the last bit, until weights are trained (but that the parts of torch's transformers are
    called: natrl.modules.replace.fast_paths).
    """

    settings = INHERITED

    def __init__(self, space: ModuleSpace, reference: Tensor, *, seed: int = 0) -> None:
        """`reference` (N, C, H, W): unlabelled images that choices are fitted on, and batch-norms measured with."""
        super().__init__()
        self.space = space
        self._reference = reference
        masks = space.masks(space.architecture)
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, but none of them stays
            self._slots = {slot.name: _alternatives(space, slot, masks[slot.index]) for slot in space.slots}
            self._rest = {name: _present_or_not(space.model.get_submodule(name)) for name in space.can_be_left_out}
        layers = {space.model.get_submodule(name): choice for name, choice in (self._slots | self._rest).items()}
        self.network = copied(space.model, layers)
        self.training = self.network.training
        guard_thin(self.network)
        self._inherit(reference, seed)

    def _inherit(self, images: Tensor, seed: int) -> None:
        """Fits each choice to what its layer gives for what that reads in the original."""
        original = calling_parts(copied(self.space.model))
        layers = {slot.name: original.get_submodule(slot.name) for slot in self.space.slots}
        fitted = {name: layer for name, layer in layers.items() if isinstance(layer, Conv | nn.Linear)}
        reference = Reference(original, list(fitted), images, seed=seed)
        with in_mode(original, training=False), ExitStack() as hooks, torch.no_grad():
            for name, layer in fitted.items():
                hook = self._fitting(self.space.slot(name), layer, reference)
                hooks.enter_context(layer.register_forward_pre_hook(hook))
            original(images)

    def _fitting(self, slot: ModuleSlot, layer: Conv | nn.Linear, reference: Reference) -> Any:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            for name, module in self._slots[slot.name].operations.items():
                if name != slot.operation:
                    fit_layer(layer, module, arguments[0], reference.layers[slot.name])

        return hook

    def select(self, architecture: Architecture) -> ModuleSupernet:
        """Makes the architecture's operations active, and returns itself. ValueError if a slot has no such choice."""
        left_out = self.space.left_out(architecture)
        for name, rest in self._rest.items():
            rest.active = "null" if name in left_out else PRESENT
        operations, ends = self.space.operations(self.space.prune(architecture)), self.space.ends(architecture)
        for name, choice in self._slots.items():
            op, choice.read = operations[name], self._read(name, ends.get(name, (None, None))[0])
            if op not in choice.operations:
                known = ", ".join(choice.operations)
                raise ValueError(f"layer {name!r} has no choice {op!r} in the supernet; it has: {known}")
            choice.active = op
        return self

    def _read(self, name: str, inputs: Tensor | None) -> Tensor | None:
        """Of a layer's inputs 1 where it is among these; None where it reads all."""
        if inputs is None:
            return None
        read = torch.zeros(self.space.slot(name).in_channels)
        read[inputs] = 1
        return read

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Images (B, C, H, W) → logits (B, classes) of an architecture. ValueError if a slot has no such choice."""
        return self._logits(self.select(architecture).network(images))

    def prepare(self, images: Tensor) -> Tensor:
        return images

    def score(self, prepared: Tensor, architecture: Architecture) -> Tensor:
        """Logits (B, classes) of an architecture whose batch-norms take the statistics of the reference images first.

        What they held is put back after it.
        """
        self.select(architecture)
        with self._statistics_put_back(), torch.no_grad():
            with recalibrating(self.network):
                self.network(self._reference.to(prepared.device))
            with in_mode(self.network, training=False):
                return torch.cat([self._logits(self.network(part)) for part in prepared.split(MEASURING_BATCH)])

    @staticmethod
    def _logits(outputs: Any) -> Tensor:
        return outputs[0] if isinstance(outputs, tuple) else outputs  # in training, others are of auxiliary heads

    @contextmanager
    def _statistics_put_back(self) -> Iterator[None]:
        norms = [m for m in self.modules() if isinstance(m, _BatchNorm)]
        held = [{name: buffer.clone() for name, buffer in norm.named_buffers(recurse=False)} for norm in norms]
        try:
            yield
        finally:
            for norm, buffers in zip(norms, held, strict=True):
                for name, buffer in buffers.items():
                    getattr(norm, name).copy_(buffer)


def _present_or_not(layer: nn.Module) -> Alternatives:
    """A layer that is no slot, or what stands in its place where nulls leave it out."""
    return Alternatives(PRESENT, {PRESENT: deepcopy(layer), "null": nothing(layer)})


def _alternatives(space: ModuleSpace, slot: ModuleSlot, mask: np.ndarray) -> Alternatives:
    """The layer itself, what the mask allows it to become, and null, which it is where nothing uses it."""
    layer = space.model.get_submodule(slot.name)
    operations: dict[str, nn.Module] = {slot.operation: deepcopy(layer)}
    for name, allowed in zip(space.primitives, mask, strict=True):
        if allowed and name != slot.operation:
            operations[name] = replacement(layer, name)
    with suppress(ValueError):  # a pooling with ceil_mode
        operations.setdefault("null", replacement(layer, "null"))
    return Alternatives(slot.operation, operations)
