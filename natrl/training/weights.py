"""The weights of any torch module as safetensors: written whole, and read back without trust."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.checks.errors import said
from natrl.documents import open_file
from natrl.files.writing import replacing

__all__ = ["read_weights", "save_weights", "weights_of"]


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the module's state_dict on the CPU, contiguous, each tensor with memory of its own.

    What a module shares between two names is there under both, so that `load_state_dict` finds every key.
    """
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}


@checked
def save_weights(model: nn.Module, path: Path | str) -> Path:
    """Writes the weights and buffers of a module whole or not at all; returns the path."""
    path = Path(path)
    with replacing(path) as fresh:
        save_file(weights_of(model), fresh, metadata={"format": "pt"})
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. ValueError in one line if it is damaged or missing, or has NaN in it."""
    try:
        open_file(path).close()  # no pipe: that would be waited for
        weights = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path} is damaged or missing: {said(error)}") from None
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{path} is damaged: {name} holds numbers that are not finite")
    return weights
