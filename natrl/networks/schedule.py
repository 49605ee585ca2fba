"""How a network is trained from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

__all__ = ["Schedule", "schedule", "schedule_names"]

MOST = 10**6  # epochs, and images of a batch
OPTIMIZERS = ("sgd", "adamw")


@dataclass(frozen=True)
class Schedule:
    """Settings of one training from scratch. ValueError names the setting that is out of range.

    The learning rate rises linearly from 0 for the share `warmup` of the steps, then falls along a half cosine to
    `final_learning_rate`.
    """

    epochs: int
    batch_size: int
    optimizer: str = "sgd"  # "sgd" (Nesterov off) | "adamw" (betas: momentum and 0.99)
    learning_rate: float = 0.025
    final_learning_rate: float = 0.0
    warmup: float = 0.0  # share of the steps, in [0, 1)
    weight_decay: float = 3e-4
    momentum: float = 0.9
    clip: float = 5.0  # largest norm of the gradient; 0: any
    drop_path: float = 0.0  # probability in the last epoch, rising linearly from 0; in [0, 1)
    auxiliary: float = 0.0  # weight of the auxiliary head's loss; 0: no such head
    cutout: int = 0  # side of the square in pixels of a 32×32 image; scaled to the image size
    label_smoothing: float = 0.0  # in [0, 1)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            self._check(name, isinstance(value, int) and value >= 1, "a whole number ≥ 1")
            self._check(name, value <= MOST, f"at most {MOST:,}")
        for field in fields(self):
            if field.type == "float":
                value = getattr(self, field.name)
                self._check(field.name, isinstance(value, int | float) and not isinstance(value, bool), "a number")
        self._check("optimizer", self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}")
        self._check("learning_rate", 0 < self.learning_rate < math.inf, "above 0")
        self._check("final_learning_rate", 0 <= self.final_learning_rate <= self.learning_rate, "in [0, learning_rate]")
        for name in ("warmup", "momentum", "drop_path", "label_smoothing"):
            self._check(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in ("weight_decay", "clip", "auxiliary"):
            self._check(name, 0 <= getattr(self, name) < math.inf, "at least 0")
        self._check("cutout", isinstance(self.cutout, int) and self.cutout >= 0, "a whole number of pixels ≥ 0")

    def _check(self, name: str, fine: bool, wanted: str) -> None:
        if not fine:
            raise ValueError(f"schedule: {name} must be {wanted}, got {getattr(self, name)!r}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, 0 … steps − 1."""
        warm = round(self.warmup * steps)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        progress = (step - warm) / max(1, steps - 1 - warm)
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


_SCHEDULES = {
    # NAT++ (arXiv 2102.10301) and DARTS: the final training on CIFAR-10.
    "paper": Schedule(
        epochs=600,
        batch_size=96,
        learning_rate=0.025,
        final_learning_rate=0.001,
        drop_path=0.2,
        auxiliary=0.4,
        cutout=16,
    ),
    # Small networks on 8×8 images in two or three seconds of one CPU core; tuned on the validation split of digits.
    "quick": Schedule(epochs=12, batch_size=64, optimizer="adamw", learning_rate=3e-2, warmup=0.2),
}


def schedule(name: str | Schedule) -> Schedule:
    """The schedule of that name (a schedule is returned as it is). ValueError lists the known names."""
    if isinstance(name, Schedule):
        return name
    try:
        return _SCHEDULES[name]
    except KeyError:
        raise ValueError(f"unknown schedule {name!r}; known: {', '.join(_SCHEDULES)}") from None


def schedule_names() -> tuple[str, ...]:
    """The named schedules."""
    return tuple(_SCHEDULES)
