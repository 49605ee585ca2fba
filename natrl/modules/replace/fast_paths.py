"""torch's transformers in evaluation mode, without gradients: one operation reads the weights of all their parts.

Where other modules stand for some of the parts, or a call is followed, the parts must be called instead, as they are in
training. It gives the same but for rounding, and for positions behind the end of a sequence (`src_key_padding_mask`),
where nn.TransformerEncoder gives zeros on its fast path alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from torch import nn

__all__ = ["asked_before_calls", "calling_parts"]

Model = TypeVar("Model", bound=nn.Module)


def calling_parts(model: Model, parts: Collection[nn.Module] | None = None) -> Model:
    """The model itself, in which torch's encoders of these parts call what they consist of; None: all encoders.

    By the attributes that they look at themselves.
    """
    wanted = None if parts is None else set(parts)
    for module in model.modules():
        if not isinstance(module, nn.TransformerEncoder | nn.TransformerEncoderLayer):
            continue
        if wanted is not None and wanted.isdisjoint(module.modules()):
            continue
        if isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
        else:
            module.activation_relu_or_gelu = 0  # for another activation there is no such operation
    return model


def asked_before_calls(layer: nn.Module) -> dict[str, object]:
    """What torch's encoders and decoders read of their attention before they call it: anything in its place has that.

    Without a bias of its own it is called, and its weights are not read.
    """
    if not isinstance(layer, nn.MultiheadAttention):
        return {}
    return {"batch_first": layer.batch_first, "in_proj_bias": None}
