"""How a network is trained from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import check_fields, Decay, NotNegative, Pixels, Range
from natrl.checks.kinds import instance_of
from natrl.registry import Registry

__all__ = ["FINE_TUNING", "SCHEDULES", "Schedule", "schedule"]

Few = Annotated[int, Range(1, 10**6)]  # epochs, and images of a batch
OPTIMIZERS = ("sgd", "adamw")


@dataclass(frozen=True)
class Schedule:
    """Settings of one training from scratch. ValueError names the setting that is out of range.

    The learning rate rises linearly from 0 for the share `warmup` of the steps, then falls along a half cosine to
    `final_learning_rate`.
    """

    epochs: Annotated[Few, Doc("Epochs that a network is trained, or a finalist fine-tuned.")]
    batch_size: Annotated[Few, Doc("Images of a step.")]
    optimizer: Annotated[str, Doc("sgd (Nesterov off) or adamw (betas: momentum and 0.99).")] = "sgd"
    learning_rate: Annotated[
        float, Range(0, 1e38, above=True), Doc("Learning rate at its highest, of training or fine-tuning.")
    ] = 0.025
    final_learning_rate: Annotated[float, Range(0, 1e38), Doc("At the end; at most learning_rate.")] = 0.0
    warmup: Annotated[Decay, Doc("Share of the steps in which the learning rate rises.")] = 0.0
    weight_decay: Annotated[NotNegative, Doc("Weight decay.")] = 3e-4
    momentum: Annotated[Decay, Doc("Momentum; AdamW: β1.")] = 0.9
    clip: Annotated[NotNegative, Doc("Largest norm of the gradient; 0: any.")] = 5.0
    drop_path: Annotated[Decay, Doc("Probability in the last epoch, rising linearly from 0.")] = 0.0
    auxiliary: Annotated[NotNegative, Doc("Weight of the auxiliary head's loss; 0: no such head.")] = 0.0
    cutout: Annotated[Pixels, Doc("Side of the square in pixels of a 32×32 image; scaled to the image size.")] = 0
    label_smoothing: Annotated[Decay, Doc("Share of a label that all classes have alike.")] = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "schedule: ")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"schedule: optimizer must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}")
        if self.final_learning_rate > self.learning_rate:
            found = f"got {self.final_learning_rate!r} and {self.learning_rate!r}"
            raise ValueError(f"schedule: final_learning_rate must be at most learning_rate, {found}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, 0 … steps − 1."""
        warm = round(self.warmup * steps)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        progress = (step - warm) / max(1, steps - 1 - warm)
        span = self.learning_rate - self.final_learning_rate
        return self.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


SCHEDULES: Registry[Schedule] = Registry("schedule", instance_of(Schedule), group="natrl.schedules")
schedule = SCHEDULES.get  #: The schedule of that name (a schedule is returned as it is).

# NAT++ (arXiv 2102.10301) and DARTS: the final training on CIFAR-10.
PAPER = Schedule(
    epochs=600, batch_size=96, learning_rate=0.025, final_learning_rate=0.001, drop_path=0.2, auxiliary=0.4, cutout=16
)
# Small networks on 8×8 images in two or three seconds of one CPU core; tuned on the validation split of digits.
QUICK = Schedule(epochs=12, batch_size=64, optimizer="adamw", learning_rate=3e-2, warmup=0.2)
# From inherited weights: half of the rate that such networks are trained with from scratch.
FINE_TUNING = Schedule(epochs=6, batch_size=64, learning_rate=0.05, warmup=0.05, weight_decay=5e-4)
SCHEDULES.register("paper", "natrl.training.schedule:PAPER", "600 epochs, as published")
SCHEDULES.register("quick", "natrl.training.schedule:QUICK", "12 epochs, for small networks on small images")
