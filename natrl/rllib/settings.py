"""The settings of the two algorithms: one frozen dataclass, whose comments are the help texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_args, Literal

from natrl.checks.fields import check_fields, Count, Decay, Positive, Range, Steps

__all__ = ["AlgorithmName", "Baseline", "LearnSettings"]

AlgorithmName = Literal["ppo", "reinforce"]
Baseline = Literal["none", "ema", "architecture", "critic"]  # natrl.rllib.advantages says what each is


Rate = Annotated[float, Range(0, 10, above=True)]
Weight = Annotated[float, Range(0, 1000)]
Batch = Annotated[int, Range(1, 10**6)]


@dataclass(frozen=True)
class LearnSettings:
    """How the policy is learned. Defaults are PPO's for NAS-Bench-201 in a minute (docs/ppo.md)."""

    algorithm: AlgorithmName = "ppo"
    iterations: Count = 235  # each of weight steps, if any, and policy updates
    updates: Count = 1  # policy updates an iteration, each on a batch of its own
    batch_size: Batch = 256  # episodes of an update
    learning_rate: Rate = 2e-3  # at the start
    final_learning_rate: Rate = 2e-4  # at the end, linear in between
    entropy: Weight = 0.06  # weight λ of the entropy bonus at the start
    final_entropy: Weight = 0.01  # … at the end, linear in between
    gradient_clip: Positive | None = 1.0  # global norm; None: any
    beta1: Decay = 0.9  # Adam's decay of the mean gradient
    beta2: Decay = 0.999  # … of its square
    weight_decay: Weight = 0.0  # Adam's L2 penalty
    epochs: Count = 4  # PPO: passes over a batch
    minibatch_size: Batch = 128  # PPO: episodes a gradient step
    clip: Positive = 0.2  # PPO: ε of the clipped ratio
    value_weight: Weight = 0.5  # PPO: weight of the critic's loss
    reward_scale: Positive = 10.0  # PPO: returns are multiplied by this
    baseline: Baseline = "architecture"  # REINFORCE: none, ema or architecture
    baseline_decay: Decay = 0.99  # REINFORCE: of the average in baseline ema
    group_size: Batch = 1  # transforms α of each initial architecture β in a batch (the papers' n)
    standardise: bool = True  # REINFORCE: advantages of a batch to mean 0, deviation 1
    warmup_steps: Steps = 0  # supernet: weight steps before the first iteration
    weight_steps: Steps = 0  # supernet: weight steps before each iteration

    def __post_init__(self) -> None:
        check_fields(self)
        for name, choices in (("algorithm", AlgorithmName), ("baseline", Baseline)):
            value = getattr(self, name)
            if value not in get_args(choices):
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(get_args(choices))}")
        if self.batch_size % self.group_size:
            raise ValueError(f"batch_size ({self.batch_size}) must be a multiple of group_size ({self.group_size})")
        if self.algorithm == "ppo" and self.minibatch_size > self.batch_size:
            raise ValueError(f"minibatch_size ({self.minibatch_size}) must not exceed batch_size ({self.batch_size})")
        if self.algorithm == "reinforce" and self.baseline == "critic":
            raise ValueError("baseline 'critic' belongs to ppo; REINFORCE takes none, ema or architecture")
