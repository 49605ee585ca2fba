"""The settings of `natrl.optimize`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from natrl.checks.fields import Actors, Amount, check_fields, Count, Logit, Seed, Steps
from natrl.core.transitions import check_choice
from natrl.policies.network import HEADS
from natrl.rllib.settings import LearnSettings
from natrl.training.fine_tuning import FINE_TUNING
from natrl.training.schedule import Schedule

__all__ = ["OptimizeSettings"]

Reward = Literal["inherited", "supernet"]


def _few_updates() -> LearnSettings:
    """A few hundred evaluations: each builds, fits and measures a network.

    Small steps: at a higher rate the first update threw away that the policy starts near the network.
    """
    return LearnSettings(
        iterations=16,
        batch_size=16,
        minibatch_size=16,
        epochs=2,
        learning_rate=1e-3,
        final_learning_rate=5e-4,
        entropy=0.005,
        final_entropy=0.001,
    )


@dataclass(frozen=True)
class OptimizeSettings:
    """How a network is optimized."""

    learn: LearnSettings = field(default_factory=_few_updates)  # the policy's training
    #: Scores while the policy learns: "inherited" (natrl.evaluation.inherited) or "supernet";
    #: learn.warmup_steps and learn.weight_steps train that one. Candidates are chosen by inherited weights either way.
    reward: Reward = "inherited"
    head: Any = "autoregressive"  # of the policy
    keep: Logit = 3.0  # extra logit, at the start, of what a slot holds: the policy starts near the network
    candidates: Count = 24  # transformations that the policy proposes at the end, besides the most probable ones
    finalists: Count = 3  # of these, by validation score, are fine-tuned; the best on validation data is the result
    fine_tuning: Schedule = FINE_TUNING  # of each finalist
    distill: bool = True  # fine-tuning learns from the original's outputs besides the labels
    bf16: bool | None = None  # bfloat16 autocast in fine-tuning; None: on GPUs that have it
    reference_images: Count = 256  # unlabelled images that replacements are fitted on
    validation_images: Count = 512  # that candidates are scored on; finalists see the whole split
    steps: Steps | None = None  # of training before a candidate is scored; None: only where it is needed
    actors: Actors = 0  # Ray actors that score candidates; 0: in the policy's process
    num_cpus: Amount = 1  # of each actor and of each fine-tuning
    num_gpus: Amount = 0  # of each actor and of each fine-tuning
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "head", HEADS.name_of(self.head))
        HEADS.get(self.head)
        check_choice("reward", self.reward, Reward)
        if (self.learn.warmup_steps or self.learn.weight_steps) and self.reward != "supernet":
            raise ValueError("warmup_steps and weight_steps train a supernet: they need reward 'supernet'")
