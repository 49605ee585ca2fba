"""How a supernet's weights are trained: settings only, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from natrl.checks.fields import check_fields, Count, Decay, Range

__all__ = ["FAIR", "INHERITED", "PAPER", "WeightSettings"]

OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True)
class WeightSettings:
    """One architecture and one batch a step. ValueError names the setting that is out of range."""

    fair: bool = True  # every slot meets every primitive equally often; False, and where a slot has fewer of them:
    # architectures are drawn independently
    batch_size: Count = 64
    optimizer: str = "adamw"  # "adamw" | "sgd"
    learning_rate: Annotated[float, Range(0, 1e38, above=True)] = 5e-3
    momentum: Decay = 0.9  # AdamW: β1
    beta2: Decay = 0.99  # AdamW; 0.999 remembers longer than a short training lasts
    weight_decay: Annotated[float, Range(0, 1000)] = 0.01
    warmup: Decay = 0.05  # share of the steps in which the learning rate rises linearly from 0
    cosine: bool = True  # then it falls along a half cosine to a hundredth; False: it stays
    clip: Annotated[float, Range(0, 1e38, above=True)] = 5.0  # largest norm of the gradient

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
