"""Networks of a space with weights inherited from the trained one."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, cast, TYPE_CHECKING

import torch
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.modules.inherit.kernels import Pointwise
from natrl.modules.inherit.least_squares import inherit
from natrl.modules.inherit.reference import Reference
from natrl.modules.replace.fast_paths import calling_parts
from natrl.modules.replace.geometry import Conv

if TYPE_CHECKING:
    from natrl.modules.space import ModuleSpace

__all__ = ["Inheritance"]


class Inheritance:
    """What the trained layers give for some unlabelled images, and what replacements inherit from that.

    Replacements, layers that read fewer channels, and what comes after them are fitted by least squares to what the
    trained layers give, and batch-norms take over the new statistics (natrl.modules.inherit.least_squares), the
    original's as well; what the user has frozen stays as it is.
    """

    def __init__(
        self, space: ModuleSpace, reference: Tensor | tuple[Tensor, ...], *, seed: int, device: torch.device
    ) -> None:
        """`reference`: inputs as the network takes them, (N, C, H, W); the seed is of the pixels that fits read."""
        self.space, self.device = space, device
        original = calling_parts(deepcopy(space.model)).to(device)
        modules = {slot.name: original.get_submodule(slot.name) for slot in space.slots}
        self._layers = {name: module for name, module in modules.items() if isinstance(module, Conv | nn.Linear)}
        inputs = [t.to(device) for t in (reference if isinstance(reference, tuple) else (reference,))]
        self._reference = Reference(original, list(self._layers), *inputs, seed=seed, recalibrate=True)

    def __call__(self, architecture: Architecture) -> nn.Module:
        """The network of the architecture, of the user's class, on the device."""
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, but none of them stays
            network: Any = self.space.build(architecture, verify=False).to(self.device)
        now = self.space.operations(architecture)
        replaced = {slot.name for slot in self.space.slots if now[slot.name] != slot.operation}
        narrow, ends = self.space.narrowed(architecture), self.space.ends(architecture)
        trained = cast(
            dict[str, Pointwise],
            {n: narrow[n].to(self.device) if n in narrow else layer for n, layer in self._layers.items()},
        )
        reading_less = {name for name, (inputs, _) in ends.items() if inputs is not None and now[name] != "null"}
        fitted = (replaced & trained.keys()) | reading_less
        inherit(
            network,
            {name: trained[name] for name in fitted},
            self._reference,
            kept={name: outputs for name, (_, outputs) in ends.items() if outputs is not None},
            staying={name: layer for name, layer in trained.items() if name not in fitted and now[name] != "null"},
        )
        return network
