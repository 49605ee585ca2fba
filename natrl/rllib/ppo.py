"""PPO on one-step episodes, by configuration: RLlib's algorithm with our learner, module and environment."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.ppo import PPO, PPOConfig

from natrl.rllib.algorithm import TransitionAlgorithm
from natrl.rllib.learners import OneStepPPOLearner
from natrl.rllib.settings import LearnSettings

__all__ = ["TransitionPPO", "TransitionPPOConfig", "configure"]


class TransitionPPOConfig(PPOConfig):
    """`PPOConfig` and what `TransitionAlgorithm` reads."""

    def __init__(self, algo_class: Any = None) -> None:
        super().__init__(algo_class or TransitionPPO)
        self.reward_scale = 1.0  # factor on returns before the critic sees them

    def get_default_learner_class(self) -> Any:
        return OneStepPPOLearner


class TransitionPPO(TransitionAlgorithm, PPO):
    """PPO (arXiv 1707.06347) whose advantage is return − critic, without bootstrapping: episodes are complete."""

    @classmethod
    def get_default_config(cls) -> TransitionPPOConfig:
        return TransitionPPOConfig()


def configure(settings: LearnSettings) -> TransitionPPOConfig:
    """What of the settings is PPO's alone; no KL term, and no clipping of values."""
    config = TransitionPPOConfig()
    config.reward_scale = settings.reward_scale
    return config.training(
        num_epochs=settings.epochs,
        minibatch_size=settings.minibatch_size,
        clip_param=settings.clip,
        vf_loss_coeff=settings.value_weight,
        vf_clip_param=float("inf"),
        use_kl_loss=False,
        kl_coeff=0.0,
    )
