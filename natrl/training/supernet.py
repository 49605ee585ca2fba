"""What a supernet does, and training its weights in pieces, in turns with a policy."""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.data import ImageData
from natrl.data.labels import size_of
from natrl.data.passes import Passes
from natrl.spaces import Space
from natrl.training.modes import in_mode
from natrl.training.sampling import ArchitectureSampler
from natrl.training.weight_settings import FAIR, WeightSettings

__all__ = ["Supernet", "SupernetTrainer"]


class Supernet(Protocol):
    """One set of weights for every architecture of a space: an nn.Module, which `Space.supernet` makes."""

    space: Space
    settings: WeightSettings  # how its weights are trained, where nobody says

    def __call__(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Images (B, C, H, W) → logits (B, classes) in training; gradients reach the weights that it uses."""

    def prepare(self, images: Tensor) -> Any:
        """What `score` needs of images, worked out once for all architectures until weights change."""

    def score(self, prepared: Any, architecture: Architecture) -> Tensor:
        """Logits (B, classes) in evaluation. ValueError if it has no weights for the architecture."""


class SupernetTrainer:
    """Trains the weights of a supernet on the training split, step by step.

    `total_steps` is the length of the learning-rate schedule; training may go on beyond it at the last rate. With the
    same seed the same steps follow, in however many calls and restored states.
    """

    def __init__(
        self,
        supernet: Any,  # a Supernet
        data: ImageData,
        settings: WeightSettings = FAIR,
        *,
        total_steps: int,
        seed: int = 0,
    ) -> None:
        """ValueError if `total_steps` is below 1 or the training split is empty."""
        self.images = size_of(data.train)
        if total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, got {total_steps}")
        if not self.images:
            raise ValueError(f"data {data.name!r} has no training images")
        self.supernet, self.data, self.settings = supernet, data, settings
        self.total_steps, self.seed = total_steps, seed
        self.step = 0  # steps made
        self._weights = list(supernet.parameters())  # collecting them anew would cost a tenth of a step
        self._sampler = ArchitectureSampler(supernet.space, fair=settings.fair, seed=seed)
        self._optimizer = _optimizer(self._weights, settings)
        self._passes = Passes(
            data.train, settings.batch_size, seed=(seed,), augment=data.augmentation, device=self._weights[0].device
        )

    def train(self, steps: int) -> dict[str, float]:
        """Makes so many steps; the mean training loss (nats), the last learning rate and the steps made in all.

        ValueError if the loss is not finite.
        """
        with in_mode(self.supernet, training=True):
            losses = [self._make_step(*self._passes.batch(self.step)) for _ in range(steps)]
        loss = torch.stack(losses).mean().item() if losses else math.nan
        if losses and not math.isfinite(loss):
            raise ValueError(f"the supernet's loss is {loss} after {self.step} steps; lower the learning rate")
        return {"loss": loss, "learning_rate": self._rate(self.step - 1), "steps": float(self.step)}

    def _make_step(self, images: Tensor, labels: Tensor) -> Tensor:
        loss = F.cross_entropy(self.supernet(images, self._sampler.draw()), labels)
        loss.backward()
        used = [weight for weight in self._weights if weight.grad is not None]
        nn.utils.clip_grad_norm_(used, self.settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(self.step)
        self._optimizer.step()
        for weight in used:
            weight.grad = None
        self.step += 1
        return loss.detach()

    def _rate(self, step: int) -> float:
        return self.settings.rate(step, self.total_steps)

    def state_dict(self) -> dict[str, Any]:
        """A copy of what `load_state_dict` goes on from; the weights are the supernet's to save."""
        return {
            "step": self.step,
            "optimizer": deepcopy(self._optimizer.state_dict()),
            "sampler": self._sampler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on as the trainer that gave the state would have."""
        self.step = state["step"]
        self._optimizer.load_state_dict(deepcopy(state["optimizer"]))
        self._sampler.load_state_dict(state["sampler"])


def _optimizer(weights: list[nn.Parameter], settings: WeightSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        # Not fused: that fails on weights that come into use after the first step.
        return torch.optim.SGD(weights, rate, settings.momentum, weight_decay=decay)
    return torch.optim.AdamW(weights, rate, (settings.momentum, settings.beta2), weight_decay=decay, fused=True)
