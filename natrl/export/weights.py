"""The weights of any torch module as safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import nn, Tensor

from natrl.arguments import checked
from natrl.files import replacing

__all__ = ["save_weights", "weights_of"]


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
