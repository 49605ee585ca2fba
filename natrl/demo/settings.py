"""What each act of the demo does: settings that need neither torch nor Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from annotated_doc import Doc

from natrl.checks.fields import Amount, check_fields, Count, Portion, Range, Seed, Size
from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton
from natrl.training.schedule import FINE_TUNING, Schedule
from natrl.training.schedule import schedule as find_schedule
from natrl.tuning.optimize.settings import Method, OptimizeSettings

__all__ = ["ACTS", "CellsSettings", "NetworkSettings", "TruthSettings", "settings_of"]

DIGITS = 800  # training images of the embedded data set
WARMUP, ITERATIONS = 600, 20  # of cells: steps of the supernet before the policy learns, and of the policy


@dataclass(frozen=True)
class TruthSettings:
    """A policy among 15,625 architectures that were all trained."""

    evaluations: Annotated[int, Range(100, 15_625), Doc("Trainings that may be looked up, in all.")] = 1000
    iterations: Annotated[Count, Doc("Of the policy.")] = 80
    held_out: Annotated[int, Range(2, 1000), Doc("Architectures that it never starts from.")] = 50
    budget: Annotated[Portion, Doc("A second question: at most this share of the MAdds.")] = 0.6
    seed: Annotated[Seed, Doc("Seed of everything random.")] = 0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class NetworkSettings:
    """A trained network, at half its cost."""

    budget: Annotated[Portion, Doc("At most this share of the MAdds.")] = 0.5
    moves: Annotated[str, Doc("What may change; types save no time in eager torch here.")] = "widths,kernels,branches"
    epochs: Annotated[Count, Doc("Of the original's training.")] = 20
    iterations: Annotated[Count, Doc("Of the policy.")] = 30
    tuning_epochs: Annotated[Count, Doc("Of what comes out; of each finalist the first.")] = 6
    finalists: Annotated[Count, Doc("Candidates that are fine-tuned for an epoch.")] = 6
    candidates: Annotated[Count, Doc("Of the policy, besides the most probable ones; or the best combinations.")] = 24
    actors: Annotated[Count, Doc("Ray actors that evaluate networks.")] = 2
    gpus_per_actor: Annotated[Amount, Doc("GPUs of each actor; fractions share one.")] = 0.0
    seed: Annotated[Seed, Doc("Seed of everything random.")] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def optimize(self, *, method: Method) -> OptimizeSettings:
        usual = OptimizeSettings()
        learn = replace(usual.learn, iterations=self.iterations)
        return replace(
            usual,
            method=method,
            moves=self.moves,
            learn=usual.learn if method == "additive" else learn,
            evaluator=replace(usual.evaluator, actors=self.actors, num_gpus=self.gpus_per_actor),
            fine_tuning=replace(FINE_TUNING, epochs=self.tuning_epochs),
            finalists=self.finalists,
            tune_original=method == "policy",  # once is enough
            candidates=self.candidates,
            seed=self.seed,
        )


@dataclass(frozen=True)
class CellsSettings:
    """The papers' setting: a supernet, a policy, everything trained again."""

    data: Annotated[str, Doc("Data set of cells.")] = "digits"
    image_size: Annotated[Size | None, Doc("Scale its images to this many pixels (8 keeps it quick).")] = None
    seeds: Annotated[Annotated[int, Range(2, 10_000)], Doc("Trainings of each of the cells at the end.")] = 3
    actors: Annotated[Count, Doc("Ray actors that evaluate architectures.")] = 2
    gpus_per_actor: Annotated[Amount, Doc("GPUs of each actor; fractions share one.")] = 0.0
    share: Annotated[Portion, Doc("Of all training steps and epochs.")] = 1.0
    seed: Annotated[Seed, Doc("Seed of everything random.")] = 0

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
        warmup, iterations = max(1, round(WARMUP * self.share)), max(1, round(ITERATIONS * self.share))
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


#: What each act is told, in the order in which they are played.
ACTS: dict[str, type] = {"truth": TruthSettings, "network": NetworkSettings, "cells": CellsSettings}


def settings_of(given: Mapping[str, Any], *, quick: bool = False) -> dict[str, Any]:
    """The settings of each act: those given that it has. `quick`: a tenth of the training. ValueError out of range."""
    fast: dict[str, dict[str, Any]] = {
        "truth": {"evaluations": 100, "iterations": 12, "held_out": 10},
        "network": {"epochs": 5, "iterations": 1, "tuning_epochs": 1, "finalists": 1, "candidates": 4},
        "cells": {"share": 0.1},
    }
    usual: dict[str, Any] = {name: kind() for name, kind in ACTS.items()}
    return {
        name: replace(
            usual[name], **(fast[name] if quick else {}) | {k: v for k, v in given.items() if hasattr(usual[name], k)}
        )
        for name in ACTS
    }
