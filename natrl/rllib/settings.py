"""The settings of the two algorithms: one frozen dataclass, whose comments are the help texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args, Literal

__all__ = ["AlgorithmName", "Baseline", "LearnSettings"]

AlgorithmName = Literal["ppo", "reinforce"]
Baseline = Literal["none", "ema", "architecture", "critic"]  # natrl.rllib.advantages says what each is


@dataclass(frozen=True)
class LearnSettings:
    """How the policy is learned. Defaults are PPO's for NAS-Bench-201 in a minute (docs/ppo.md)."""

    algorithm: AlgorithmName = "ppo"
    iterations: int = 235  # each of weight steps, if any, and policy updates
    updates: int = 1  # policy updates an iteration, each on a batch of its own
    batch_size: int = 256  # episodes of an update
    learning_rate: float = 2e-3  # at the start
    final_learning_rate: float = 2e-4  # at the end, linear in between
    entropy: float = 0.06  # weight λ of the entropy bonus at the start
    final_entropy: float = 0.01  # … at the end, linear in between
    gradient_clip: float | None = 1.0  # global norm; None: any
    beta1: float = 0.9  # Adam's decay of the mean gradient
    beta2: float = 0.999  # … of its square
    weight_decay: float = 0.0  # Adam's L2 penalty
    epochs: int = 4  # PPO: passes over a batch
    minibatch_size: int = 128  # PPO: episodes a gradient step
    clip: float = 0.2  # PPO: ε of the clipped ratio
    value_weight: float = 0.5  # PPO: weight of the critic's loss
    reward_scale: float = 10.0  # PPO: returns are multiplied by this
    baseline: Baseline = "architecture"  # REINFORCE: none, ema or architecture
    baseline_decay: float = 0.99  # REINFORCE: of the average in baseline ema
    group_size: int = 1  # transforms α of each initial architecture β in a batch (the papers' n)
    standardise: bool = True  # REINFORCE: advantages of a batch to mean 0, deviation 1
    warmup_steps: int = 0  # supernet: weight steps before the first iteration
    weight_steps: int = 0  # supernet: weight steps before each iteration

    def __post_init__(self) -> None:
        for name, choices in (("algorithm", AlgorithmName), ("baseline", Baseline)):
            value = getattr(self, name)
            if value not in get_args(choices):
                raise ValueError(f"unknown {name} {value!r}; known: {', '.join(get_args(choices))}")
        for name in ("iterations", "updates", "batch_size", "epochs", "minibatch_size", "group_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "final_learning_rate", "clip", "gradient_clip", "reward_scale"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        for name in ("beta1", "beta2", "baseline_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("entropy", "final_entropy", "weight_decay", "value_weight", "warmup_steps", "weight_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if self.batch_size % self.group_size:
            raise ValueError(f"batch_size ({self.batch_size}) must be a multiple of group_size ({self.group_size})")
        if self.algorithm == "ppo" and self.minibatch_size > self.batch_size:
            raise ValueError(f"minibatch_size ({self.minibatch_size}) must not exceed batch_size ({self.batch_size})")
        if self.algorithm == "reinforce" and self.baseline == "critic":
            raise ValueError("baseline 'critic' belongs to ppo; REINFORCE takes none, ema or architecture")
