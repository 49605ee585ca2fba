"""How a supernet's weights are trained: settings only, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import check_fields, Count, Decay, Range

__all__ = ["FAIR", "INHERITED", "PAPER", "WeightSettings"]

OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True)
class WeightSettings:
    """One architecture and one batch a step. ValueError names the setting that is out of range."""

    fair: Annotated[bool, Doc("Every slot meets every primitive equally often; False: independent draws.")] = True
    batch_size: Annotated[Count, Doc("Images of a step.")] = 64
    optimizer: Annotated[str, Doc("adamw or sgd.")] = "adamw"
    learning_rate: Annotated[float, Range(0, 1e38, above=True), Doc("Learning rate at its highest.")] = 5e-3
    momentum: Annotated[Decay, Doc("Momentum; AdamW: β1.")] = 0.9
    beta2: Annotated[Decay, Doc("AdamW: β2; 0.999 remembers longer than a short training lasts.")] = 0.99
    weight_decay: Annotated[float, Range(0, 1000), Doc("Weight decay.")] = 0.01
    warmup: Annotated[Decay, Doc("Share of the steps in which the learning rate rises linearly from 0.")] = 0.05
    cosine: Annotated[bool, Doc("Then it falls along a half cosine to a hundredth; False: it stays.")] = True
    clip: Annotated[float, Range(0, 1e38, above=True), Doc("Largest norm of the gradient.")] = 5.0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; known: {', '.join(OPTIMIZERS)}")
        check_fields(self, "weights: ")

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
#: For weights that start from trained ones.
INHERITED = WeightSettings(fair=False, optimizer="sgd", learning_rate=0.01, weight_decay=5e-4, warmup=0.0, cosine=False)
