"""Layers of other types than torch's own: which do what those do, with weights that they make.

Weight standardisation (Qiao et al. 2019, arXiv 1903.10520; scaled as in NFNets, arXiv 2101.08692) is a subclass of
nn.Conv2d, say, whose weights are made from its parameters. One call tells: what comes in goes into one convolution,
which gives what comes out.
"""

from __future__ import annotations

import copy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn, Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from natrl.modules.replace.geometry import channels_of, Conv, CONVOLUTIONS, geometry_of

__all__ = ["is_plain_layer", "kernel_of"]

_KNOWN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")


def is_plain_layer(module: nn.Module) -> bool:
    """Whether a module is torch's convolution or Linear, or of a subclass that does what that does with other weights.

    With the layer's own bias, stride, padding, dilation and groups; with weights that do not depend on what comes in
    nor on the mode (noise in training is there for a reason), and of which none is zero whatever the parameters are
    (so is a mask).
    """
    if type(module) in (*CONVOLUTIONS, nn.Linear):
        return True
    if not isinstance(module, Conv | nn.Linear) or type(module).__module__.startswith("torch."):
        return False
    found = _KNOWN.get(module)
    if found is None:
        try:
            drawn = copy.deepcopy(module)
            for parameter in drawn.parameters():
                parameter.detach().copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
            made = (_made_kernel(drawn, 0), _made_kernel(drawn, 1), _made_kernel(drawn, 0, training=True))
            kernels = [kernel for kernel in made if kernel is not None]
            same = len(kernels) == len(made) and all(torch.equal(kernels[0], kernel) for kernel in kernels)
            found = same and bool(kernels[0].all())
        except Exception:  # of the user's own code, which was not meant to run alone
            found = False
        _KNOWN[module] = found
    return found


def kernel_of(layer: Conv | nn.Linear) -> Tensor:
    """The weights that a layer convolves with, detached."""
    if type(layer) in (*CONVOLUTIONS, nn.Linear):
        return layer.weight.detach()
    made = _made_kernel(layer, 0)
    return layer.weight.detach() if made is None else made


@torch.no_grad()
def _made_kernel(layer: Conv | nn.Linear, seed: int, *, training: bool = False) -> Tensor | None:
    """The weights of the one operation that a copy of a layer is; None if it is something else."""
    weight, (channels, _) = layer.weight, channels_of(layer)
    size = [window.dilation * (window.kernel - 1) + 1 + window.stride for window in geometry_of(layer)]
    shape = (1, channels, *size) if isinstance(layer, Conv) else (2, channels)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(weight)
    own = copy.deepcopy(layer).train(training)
    with torch.random.fork_rng(devices=[]), _Operations() as seen:
        out = own(x)
    if len(seen.calls) != 1:
        return None
    given, made = seen.calls[0]
    same = given["input"] is x and made is out and given["weight"].shape == weight.shape
    same = same and given.get("bias") is own.bias
    if isinstance(layer, Conv):
        theirs = copy.copy(layer)
        for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1)):
            setattr(theirs, name, given.get(name, usual))
        same = same and geometry_of(theirs) == geometry_of(layer) and given.get("groups", 1) == layer.groups
    return given["weight"].detach() if same else None


class _Operations(TorchFunctionMode):
    """What convolutions and linear functions are called with here, and what they give."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[dict[str, Any], Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in (torch.conv1d, torch.conv2d, torch.conv3d, functional.linear):
            self.calls.append((dict(zip(ARGUMENTS, args, strict=False)) | (kwargs or {}), out))
        return out
