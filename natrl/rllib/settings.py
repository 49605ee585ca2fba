"""The settings of all algorithms: one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args, Literal

from annotated_doc import Doc

from natrl.checks.fields import check_fields, Count, Decay, Positive, Range, Steps
from natrl.evaluation.named import Named
from natrl.rllib.registry import ALGORITHMS

__all__ = ["Baseline", "LearnSettings"]

Baseline = Literal["none", "ema", "architecture", "critic"]  # natrl.rllib.advantages says what each is


Rate = Annotated[float, Range(0, 10, above=True)]
Weight = Annotated[float, Range(0, 1000)]
Batch = Annotated[int, Range(1, 10**6)]


@dataclass(frozen=True)
class LearnSettings(Named):
    """How the policy is learned. Defaults are PPO's for NAS-Bench-201 in a minute (docs/ppo.md).

    Of an algorithm that is given as an object the name is kept.
    """

    registries: ClassVar = {"algorithm": ("natrl.rllib.registry", "ALGORITHMS")}

    algorithm: Annotated[Any, Doc("ppo, reinforce or module:object.")] = "ppo"
    iterations: Annotated[Count, Doc("Iterations, each of weight steps, if any, and policy updates.")] = 235
    updates: Annotated[Count, Doc("Policy updates an iteration, each on a batch of its own.")] = 1
    batch_size: Annotated[Batch, Doc("Episodes of a policy update.")] = 256
    learning_rate: Annotated[Rate, Doc("Learning rate at the start.")] = 2e-3
    final_learning_rate: Annotated[Rate, Doc("Learning rate at the end, linear in between.")] = 2e-4
    entropy: Annotated[Weight, Doc("Weight λ of the entropy bonus at the start.")] = 0.06
    final_entropy: Annotated[Weight, Doc("Weight of the entropy bonus at the end, linear in between.")] = 0.01
    gradient_clip: Annotated[Positive | None, Doc("Largest global norm of the gradient; None: any.")] = 1.0
    beta1: Annotated[Decay, Doc("Adam's decay of the mean gradient.")] = 0.9
    beta2: Annotated[Decay, Doc("Adam's decay of the mean squared gradient.")] = 0.999
    weight_decay: Annotated[Weight, Doc("Adam's L2 penalty.")] = 0.0
    epochs: Annotated[Count, Doc("PPO: passes over a batch.")] = 4
    minibatch_size: Annotated[Batch, Doc("PPO: episodes a gradient step, at most a batch.")] = 128
    clip: Annotated[Positive, Doc("PPO: ε of the clipped ratio.")] = 0.2
    value_weight: Annotated[Weight, Doc("PPO: weight of the critic's loss.")] = 0.5
    reward_scale: Annotated[Positive, Doc("PPO: returns are multiplied by this.")] = 10.0
    baseline: Annotated[Baseline, Doc("REINFORCE: none, ema or architecture.")] = "architecture"
    baseline_decay: Annotated[Decay, Doc("REINFORCE: of the average in baseline ema.")] = 0.99
    group_size: Annotated[Batch, Doc("Transforms α of each initial architecture β in a batch; the papers' n.")] = 1
    standardise: Annotated[bool, Doc("REINFORCE: advantages of a batch to mean 0, deviation 1.")] = True
    warmup_steps: Annotated[Steps, Doc("Supernet: weight steps before the first iteration.")] = 0
    weight_steps: Annotated[Steps, Doc("Supernet: weight steps before each iteration.")] = 0

    def __post_init__(self) -> None:
        self.keep_names()
        check_fields(self)
        heeds = ALGORITHMS.get(self.algorithm).heeds
        if self.baseline not in get_args(Baseline):
            raise ValueError(f"unknown baseline {self.baseline!r}; known: {', '.join(get_args(Baseline))}")
        if self.batch_size % self.group_size:
            raise ValueError(f"batch_size ({self.batch_size}) must be a multiple of group_size ({self.group_size})")
        if "minibatch_size" in heeds and self.minibatch_size > self.batch_size:
            raise ValueError(f"minibatch_size ({self.minibatch_size}) must not exceed batch_size ({self.batch_size})")
        if "baseline" in heeds and self.baseline == "critic":
            raise ValueError(f"baseline 'critic' belongs to ppo; {self.algorithm} takes none, ema or architecture")
