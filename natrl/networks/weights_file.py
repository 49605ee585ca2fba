"""Weights that natrl has written, read back without trust."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from natrl.documents import open_file

__all__ = ["read_weights"]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. ValueError in one line if it is damaged or missing, or has NaN in it."""
    try:
        open_file(path).close()  # no pipe: that would be waited for
        weights = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path} is damaged or missing: {' '.join(str(error).split())[:200]}") from None
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{path} is damaged: {name} holds numbers that are not finite")
    return weights
