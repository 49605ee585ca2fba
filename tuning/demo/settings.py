"""The settings of the demo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_doc import Doc

from natrl.checks.fields import Amount, check_fields, Portion, Range, Seed, Size
from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton
from natrl.training.schedule import Schedule
from natrl.training.schedule import schedule as find_schedule

__all__ = ["DemoSettings"]

DIGITS = 800  # training images of the embedded data set


@dataclass(frozen=True)
class DemoSettings:
    """What `natrl demo` does."""

    data: str = "digits"
    image_size: Annotated[Size | None, Doc("Scale images to this many pixels (8 keeps the demo quick).")] = None
    seeds: Annotated[int, Range(2, 10_000), Doc("Trainings of each architecture at the end.")] = 3
    actors: Annotated[int, Range(1, 100_000), Doc("Ray actors that evaluate architectures.")] = 2
    gpus_per_actor: Annotated[Amount, Doc("GPUs of each actor and training; fractions share one.")] = 0
    share: Annotated[Portion, Doc("Of all training steps and epochs.")] = 1.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def schedule(self, images: int) -> Schedule:
        """The training from scratch on so many images: about as many steps as on digits, at least one epoch."""
        full = find_schedule("quick")
        epochs = full.epochs * self.share * min(1.0, DIGITS / images)
        return replace(full, epochs=max(1, round(epochs)))

    @property
    def run(self) -> RunSettings:
        """The policy's training: supernet-notes' settings for a small supernet."""
        warmup, iterations = max(1, round(2500 * self.share)), max(1, round(50 * self.share))
        return RunSettings(
            evaluator=EvaluatorSpec(
                reward="supernet",
                space="darts",
                data=self.data,
                image_size=self.image_size,
                metric="cross_entropy",
                skeleton=Skeleton(channels=8, cells=3),
                total_steps=warmup,
                seed=self.seed,
                actors=self.actors,
                num_gpus=self.gpus_per_actor,
            ),
            learn=LearnSettings(
                iterations=iterations,
                batch_size=64,
                minibatch_size=32,
                entropy=0.01,
                final_entropy=0.01,
                reward_scale=1.0,
                warmup_steps=warmup,
            ),
            keep=2.0,
            initial="pool:80",
            reward_clip=1.0,
            seed=self.seed,
        )
