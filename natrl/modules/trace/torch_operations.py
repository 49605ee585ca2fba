"""What is known of torch's operations, by their names: what each makes of the tensors that it reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["is_finite_at_zero", "is_pointwise", "keeps_places", "takes_shape_only", "tensors", "written"]


#: What joins tensors, by the name of the operation; any other operation is a join of its own name.
JOINS = {
    **dict.fromkeys(("add", "add_", "sub", "sub_", "rsub"), "add"),
    **dict.fromkeys(("cat", "stack"), "cat"),
    **dict.fromkeys(("mul", "mul_", "div", "div_"), "mul"),
}
#: Normalisations, activations, dropout and copies that torch does not tag as pointwise.
POINTWISE = frozenset(
    (
        *("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm", "_native_batch_norm_legit"),
        *("_native_batch_norm_legit_no_training", "_batch_norm_with_update", "_batch_norm_no_update"),
        *("native_group_norm", "native_layer_norm", "hardswish", "hardswish_", "mish_", "threshold_", "celu_"),
        *("_prelu_kernel", "rrelu_with_noise", "native_dropout", "dropout_", "clone", "_to_copy", "detach", "alias"),
    )
)
#: What gives the values of its input, or some of them, in another order or shape: zeros of zeros.
MOVES = frozenset(
    (
        *("view", "_unsafe_view", "_reshape_alias", "as_strided", "permute", "transpose", "t", "squeeze", "unsqueeze"),
        *("expand", "slice", "select", "split", "split_with_sizes", "unbind", "roll", "flip", "pixel_shuffle"),
    )
)
#: What takes a part of a tensor.
PARTS = frozenset(("slice", "select", "split", "split_with_sizes", "unbind", "index", "index_select", "gather"))
#: What tells a value to the model's code, which may choose its way by it.
VALUES = frozenset(("_local_scalar_dense", "equal", "is_nonzero"))
#: Joins whose result is not zero where one of the tensors is.
SUMS = frozenset(("add", "cat", "copy_", "index_put", "index_put_", "where", "maximum", "minimum", "slice_scatter"))
CONVOLUTIONS = frozenset(("convolution", "_convolution", "conv1d", "conv2d", "conv3d"))
POOLINGS = frozenset(
    (
        *("max_pool1d", "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices"),
        *("avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "_adaptive_avg_pool2d"),
        *("_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    )
)


def _attention_flops(query: Tensor, *rest: Any, out_val: Any = None) -> int:
    """Four linear layers, and with weights the two products that they stand between: as torch counts it in parts.

    `query` (B, L, E); after it come keys, values, and what aten._native_multi_head_attention takes.
    """
    batch, length, width = query.shape
    needs_weights = rest[9] if len(rest) > 9 else True  # arguments that are the defaults are left out
    products = 2 * length if needs_weights else 0
    return 2 * batch * length * width * (4 * width + products)


def _encoder_layer_flops(query: Tensor, *rest: Any, out_val: Any = None) -> int:
    """Attention, and two linear layers of these weights (aten._transformer_encoder_layer_fwd)."""
    first, second = rest[13], rest[15]
    return _attention_flops(query, *[None] * 9, False) + 2 * query.shape[:-1].numel() * (first.numel() + second.numel())


#: What torch runs as one operation in evaluation mode, and does not count.
ATTENTION = {
    torch.ops.aten._native_multi_head_attention: _attention_flops,
    torch.ops.aten._transformer_encoder_layer_fwd: _encoder_layer_flops,
}


def keeps_places(func: Any, read: Tensor, made: Tensor) -> bool:
    """Whether what an operation made of one tensor holds its values, each for itself, wherever they are then."""
    return func._overloadpacket.__name__ in MOVES or (is_pointwise(func) and made.shape == read.shape)


def is_pointwise(func: Any) -> bool:
    """Whether an operation is a normalisation, an activation, or another that keeps every pixel at its place."""
    packet = func._overloadpacket
    return torch.Tag.pointwise in func.tags or packet.__name__ in POINTWISE


def is_finite_at_zero(func: Any, args: Any, kwargs: Any, zeros: list[Tensor]) -> bool:
    """Whether a pointwise operation gives no infinity or NaN where these of its tensors are zero, and the others 1."""
    if torch.Tag.pointwise not in func.tags:
        return True
    zero = set(map(id, zeros))

    def stand_in(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.full((1,) * value.dim(), 0 if id(value) in zero else 1, dtype=value.dtype)

    with _disable_current_modes():
        try:
            found = func(*tree_map(stand_in, args), **tree_map(stand_in, kwargs))
            return all(bool(tensor.isfinite().all()) for tensor in tensors(found))
        except Exception:  # an operation that needs another device or another shape
            return True


def takes_shape_only(name: str) -> bool:
    """Whether an operation makes a tensor without reading values: new_zeros, empty_like."""
    return name.startswith("new_") or name.endswith("_like")


def written(func: Any, read: list[Tensor]) -> list[Tensor]:
    """The tensors that an operation changes in place, as far as its schema says so."""
    if not func._schema.is_mutable:
        return []
    first = func._schema.arguments[0].alias_info
    return read[:1] if first is not None and first.is_write else []


def tensors(values: Any) -> list[Tensor]:
    """The tensors in nested containers, and in the fields of objects that torch does not know as containers."""
    found: list[Tensor] = []
    for leaf in tree_leaves(values):
        if isinstance(leaf, Tensor):
            found.append(leaf)
        elif hasattr(leaf, "__dict__") and not isinstance(leaf, type | nn.Module):
            found += [value for value in tree_leaves(vars(leaf)) if isinstance(value, Tensor)]
    return found
