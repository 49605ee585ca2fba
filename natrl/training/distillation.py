"""Learning from another network's outputs besides the labels (Hinton, Vinyals & Dean 2015, arXiv 1503.02531).

For the first part of a training: a teacher that stays holds back what could become better than it (teacher annealing,
Clark et al. 2019, arXiv 1907.04829; benchmarks/fine_tuning.py measures how long).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn, Tensor
from torch.nn import functional

__all__ = ["Distillation"]


@dataclass(frozen=True)
class Distillation:
    """loss = (1 − weight) · loss on labels + weight · T² · KL(teacher ‖ student), both softened by the temperature T.

    The weight falls linearly, to 0 at the share `until` of the training. T² keeps the gradients' size whatever T is
    (section 2). ValueError on a weight or share outside [0, 1], or T not above 0.
    """

    teacher: nn.Module  # images (B, C, H, W) → logits (B, classes, …); run in evaluation mode
    weight: float = 0.5
    temperature: float = 4.0
    until: float = 0.5

    def __post_init__(self) -> None:
        for name in ("weight", "until"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"distillation: {name} must lie in [0, 1], got {getattr(self, name)}")
        if not self.temperature > 0:
            raise ValueError(f"distillation: temperature must be above 0, got {self.temperature}")

    def loss(self, images: Tensor, logits: Tensor, on_labels: Tensor, progress: float = 0.0) -> Tensor:
        """The loss of the student's `logits` (B, classes) on `images`, whose loss on labels is known.

        Logits (B, classes, …) of many places, such as pixels, count place by place. `progress`: the share of the
        training that is over, in [0, 1].
        """
        weight = self.weight * (1 - progress / self.until) if progress < self.until else 0.0
        if weight == 0:
            return on_labels
        with torch.no_grad():
            taught = self.teacher.to(images.device).eval()(images)
        t = self.temperature
        divergence = functional.kl_div(
            _by_place(functional.log_softmax(logits / t, 1)),
            _by_place(functional.log_softmax(taught / t, 1)),
            reduction="batchmean",
            log_target=True,
        )
        return (1 - weight) * on_labels + weight * t**2 * divergence


def _by_place(classes: Tensor) -> Tensor:
    """(B, classes, …) → (B · …, classes)."""
    return classes.movedim(1, -1).flatten(0, -2)
