"""Whether the output still depends on the input when branches are gone: where sources alone cannot tell.

A class token stands beside the image's own in one tensor, and only it is read in the end: it knows of the image by
attention alone. That all layers of such a network may not become null together shows in numbers: where the input is not
a number (NaN), neither is what depends on it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn, Tensor
from torch.utils._pytree import tree_map

from natrl.modules.replace.copies import copied
from natrl.modules.replace.fast_paths import calling_parts
from natrl.modules.trace.sandbox import random_numbers_kept
from natrl.modules.trace.torch_operations import tensors

__all__ = ["cutting_off"]


def cutting_off(model: nn.Module, inputs: Sequence[Tensor], nullable: Sequence[str]) -> set[str]:
    """Layers without which nothing of the input might be left in the output, if all of `nullable` were zero.

    The last one by which it depends on the input all the same; all of them where no single one is enough; none where
    the output depends on it without any, or where NaN does not show that it does. `nullable` in the order of the calls.
    """
    network = calling_parts(copied(model)).eval()
    if not nullable or _depends(network, inputs, nullable) is not False:
        return set()
    for name in reversed(nullable):
        if _depends(network, inputs, [other for other in nullable if other != name]):
            return {name}
    return set(nullable) if _depends(network, inputs, ()) else set()


def _depends(network: nn.Module, inputs: Sequence[Tensor], zero: Collection[str]) -> bool | None:
    """Whether one of the outputs is NaN where the inputs are; None if that cannot be tried."""
    own = next((p for p in network.parameters() if p.is_floating_point()), inputs[0])
    if not all(t.is_floating_point() for t in inputs):
        return None
    unknown = [torch.full_like(t[:1] if t.dim() else t, torch.nan, device=own.device, dtype=own.dtype) for t in inputs]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(random_numbers_kept(own.device))
        for name in zero:
            stack.enter_context(network.get_submodule(name).register_forward_hook(_zeros))
        try:
            given = tensors(network(*unknown))
        except Exception:  # of the model's own code, which no NaN was meant for
            return None
    return any(bool(t.isnan().any()) for t in given)


def _zeros(_: nn.Module, __: Any, output: Any) -> Any:
    return tree_map(lambda value: torch.zeros_like(value) if isinstance(value, Tensor) else value, output)
