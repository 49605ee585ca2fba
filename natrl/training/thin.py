"""Convolutions whose gradient ends the process on some processors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

__all__ = ["guard_thin", "thin_guarded"]

FEW = 8  # input channels below which it happened


def guard_thin(network: nn.Module) -> list[RemovableHandle]:
    """Makes the weights of thin convolutions contiguous, and hooks that hand them their input so.

    On a processor with AVX2 and no AVX-512 the gradient of the weight of a 1×1 convolution with stride 2 and 3, 4 or 6
    input channels writes past its memory where input or weight have their channels last (torch 2.14, oneDNN): the
    process dies, then or later.
    """
    thin = [module for module in network.modules() if _is_thin(module)]
    for module in thin:  # a clone: of a 1×1 weight every layout counts as contiguous
        module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
    return [module.register_forward_pre_hook(_contiguous) for module in thin]


@contextmanager
def thin_guarded(network: nn.Module) -> Iterator[None]:
    """`guard_thin` in the body of the `with`."""
    hooks = guard_thin(network)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _contiguous(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return inputs[0].contiguous(), *inputs[1:]


def _is_thin(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    return (
        isinstance(module, nn.Conv2d)
        and set(module.kernel_size) == {1}
        and max(module.stride) > 1
        and module.in_channels // module.groups < FEW
    )
