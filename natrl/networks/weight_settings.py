"""How a supernet's weights are trained: settings only, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["FAIR", "PAPER", "WeightSettings"]

OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True)
class WeightSettings:
    """One architecture and one batch a step. ValueError names the setting that is out of range."""

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

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; known: {', '.join(OPTIMIZERS)}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size of weights must be at least 1, got {self.batch_size}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} of weights must be above 0, got {getattr(self, name)}")
        for name in ("momentum", "beta2", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} of weights must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay of weights must be at least 0, got {self.weight_decay}")

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
