"""Training the supernet's weights, in pieces, in turns with a policy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from natrl.data import batches, ImageData
from natrl.networks.sampling import ArchitectureSampler
from natrl.networks.supernet import Supernet

__all__ = ["FAIR", "PAPER", "SupernetTrainer", "WeightSettings"]


@dataclass(frozen=True)
class WeightSettings:
    """How the supernet's weights are trained: one architecture and one batch a step."""

    fair: bool = True  # every slot meets every primitive equally often; False: architectures are drawn independently
    batch_size: int = 64
    optimizer: str = "adamw"  # "adamw" | "sgd"
    learning_rate: float = 5e-3
    momentum: float = 0.9  # AdamW: β1
    beta2: float = 0.99  # AdamW; 0.999 remembers longer than a short training lasts
    weight_decay: float = 0.01
    warmup: float = 0.05  # share of the steps in which the learning rate rises linearly from 0
    cosine: bool = True  # then it falls along a half cosine to a hundredth; False: it stays
    clip: float = 5.0  # largest norm of the gradient

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, 0 … steps − 1, and the last one's beyond."""
        warm = round(self.warmup * steps)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        if not self.cosine:
            return self.learning_rate
        progress = min(1.0, (step - warm) / max(1, steps - 1 - warm))
        return self.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


#: Ranks architectures best after few steps on small data.
FAIR = WeightSettings()
#: NAT++ (arXiv 2102.10301, section 6) and its public code.
PAPER = WeightSettings(fair=False, optimizer="sgd", learning_rate=0.01, weight_decay=3e-4, warmup=0.0, cosine=False)


class SupernetTrainer:
    """Trains the weights of a supernet on the training split, step by step.

    `total_steps` is the length of the learning-rate schedule; training may go on beyond it at the last rate. With the
    same seed the same steps follow, in however many calls and restored states.
    """

    def __init__(
        self,
        supernet: Supernet,
        data: ImageData,
        settings: WeightSettings = FAIR,
        *,
        total_steps: int,
        seed: int = 0,
    ) -> None:
        """ValueError if `total_steps` is below 1 or the training split is empty."""
        self.images: int = len(data.train)  # type: ignore[arg-type]  # torch's Dataset declares no length
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
        self._batches: Iterator[tuple[Tensor, Tensor]] = iter(())

    def train(self, steps: int) -> dict[str, float]:
        """Makes so many steps; the mean training loss (nats), the last learning rate and the steps made in all.

        ValueError if the loss is not finite.
        """
        losses = [self._make_step(*self._next_batch()) for _ in range(steps)]
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

    @property
    def _batches_an_epoch(self) -> int:
        return max(1, self.images // self.settings.batch_size)

    def _next_batch(self) -> tuple[Tensor, Tensor]:
        """The batch of the next step; epochs follow each other, each in an order of its own."""
        epoch, position = divmod(self.step, self._batches_an_epoch)
        if position == 0:
            self._batches = self._epoch(epoch)
        return next(self._batches)

    def _epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        return batches(
            self.data.train,
            self.settings.batch_size,
            shuffle_seed=int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0]),
            augment=self.data.augmentation,
            device=self.supernet.classifier.device,
            drop_last=self.images >= self.settings.batch_size,
        )

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
        epoch, position = divmod(self.step, self._batches_an_epoch)
        if position:
            self._batches = islice(self._epoch(epoch), position, None)


def _optimizer(weights: list[nn.Parameter], settings: WeightSettings) -> torch.optim.Optimizer:
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        # Not fused: that fails on weights that come into use after the first step.
        return torch.optim.SGD(weights, rate, settings.momentum, weight_decay=decay)
    return torch.optim.AdamW(weights, rate, (settings.momentum, settings.beta2), weight_decay=decay, fused=True)
