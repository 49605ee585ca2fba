"""What a user brings, and actors have to import: a network with outputs of its own, a score and a training."""

from __future__ import annotations

import torch
from torch import nn, Tensor

from tests.modules.trained import digits, trained

__all__ = ["EXAMPLE", "IMAGES", "LABELS", "Outputs", "own_training", "right_answers"]


class Outputs(nn.Module):
    """Two inputs, and a dict of outputs, as no classifier has them."""

    def __init__(self) -> None:
        super().__init__()
        self.network = trained()

    def forward(self, images: Tensor, factor: Tensor) -> dict[str, Tensor]:
        logits = self.network(images * factor[:, None, None, None])
        return {"logits": logits, "margin": logits.max(1).values}


IMAGES, LABELS = (torch.cat(parts) for parts in zip(*(digits().validation[i : i + 100] for i in (0, 100)), strict=True))
EXAMPLE = (IMAGES[:64], torch.ones(64))


def right_answers(network: nn.Module) -> float:
    """Of 200: in a unit that is no accuracy."""
    assert not network.training
    assert not torch.is_grad_enabled()
    device = next(network.parameters()).device
    logits = network(IMAGES.to(device), torch.ones(len(IMAGES), device=device))["logits"]
    return (logits.argmax(1).cpu() == LABELS).sum()


def own_training(network: nn.Module) -> None:
    """A loop of the user's: some steps of Adam."""
    images, labels = digits().train.tensors
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    network.train()
    for start in range(0, 640, 64):
        part = slice(start, start + 64)
        optimizer.zero_grad()
        logits = network(images[part], torch.ones(64))["logits"]
        nn.functional.cross_entropy(logits, labels[part]).backward()
        optimizer.step()
