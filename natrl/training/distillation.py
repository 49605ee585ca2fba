"""Learning from another network's outputs besides the labels (Hinton, Vinyals & Dean 2015, arXiv 1503.02531)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor
from torch.nn import functional

__all__ = ["Distillation"]


@dataclass(frozen=True)
class Distillation:
    """loss = (1 − weight) · loss on labels + weight · T² · KL(teacher ‖ student), both softened by the temperature T.

    T² keeps the gradients' size whatever T is (section 2). ValueError on a weight outside [0, 1] or T not above 0.
    """

    teacher: nn.Module  # images (B, C, H, W) → logits (B, classes, …); run in evaluation mode
    weight: float = 0.5
    temperature: float = 4.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"distillation: weight must lie in [0, 1], got {self.weight}")
        if not self.temperature > 0:
            raise ValueError(f"distillation: temperature must be above 0, got {self.temperature}")

    def loss(self, images: Tensor, logits: Tensor, on_labels: Tensor) -> Tensor:
        """The loss of the student's `logits` (B, classes) on `images`, whose loss on labels is known.

        Logits (B, classes, …) of many places, such as pixels, count place by place.
        """
        with torch.no_grad():
            taught = self.teacher.to(images.device).eval()(images)
        t = self.temperature
        divergence = functional.kl_div(
            _by_place(functional.log_softmax(logits / t, 1)),
            _by_place(functional.log_softmax(taught / t, 1)),
            reduction="batchmean",
            log_target=True,
        )
        return (1 - self.weight) * on_labels + self.weight * t**2 * divergence


def _by_place(classes: Tensor) -> Tensor:
    """(B, classes, …) → (B · …, classes)."""
    return classes.movedim(1, -1).flatten(0, -2)
