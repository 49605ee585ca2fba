"""REINFORCE with entropy bonus and baseline, the papers' learning algorithm, as an RLlib Algorithm."""

from __future__ import annotations

from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.execution.rollout_ops import synchronous_parallel_sample
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from natrl.rllib.algorithm import TransitionAlgorithm
from natrl.rllib.learners import REINFORCELearner
from natrl.rllib.module import TransitionModule
from natrl.rllib.settings import Baseline, LearnSettings

__all__ = ["REINFORCE", "REINFORCEConfig", "configure"]


class REINFORCEConfig(AlgorithmConfig):
    """Settings of REINFORCE; defaults as published (arXiv 2102.10301, section 6.1) where RLlib has a field for them."""

    def __init__(self, algo_class: Any = None) -> None:
        super().__init__(algo_class or REINFORCE)
        self.lr = 3e-4
        self.entropy_coeff: float | list = 0.003  # λ, or a schedule [[steps, value], …]
        self.baseline: Baseline = "ema"
        self.baseline_decay = 0.99  # of the "ema" baseline
        self.standardise = False  # advantages of a batch to mean 0 and deviation 1
        self.batch_mode = "complete_episodes"
        self.num_env_runners = 0

    def get_default_learner_class(self) -> Any:
        return REINFORCELearner

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        return RLModuleSpec(module_class=TransitionModule)


class _Once(Algorithm):
    """One batch of complete episodes, one gradient step, weights to the environment runners."""

    def training_step(self) -> None:
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            episodes, results = synchronous_parallel_sample(
                worker_set=self.env_runner_group,
                max_env_steps=self.config.total_train_batch_size,
                sample_timeout_s=self.config.sample_timeout_s,
                _uses_new_env_runners=True,
                _return_metrics=True,
            )
        self.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
        steps = self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME))
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            results = self.learner_group.update(
                episodes=episodes, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: steps}, num_epochs=1
            )
        self.metrics.aggregate(results, key=LEARNER_RESULTS)
        with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
            self.env_runner_group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)


class REINFORCE(TransitionAlgorithm, _Once):
    """Williams' policy gradient (Machine Learning 8, 1992), the algorithm of NAT and NAT++."""

    @classmethod
    def get_default_config(cls) -> REINFORCEConfig:
        return REINFORCEConfig()


def configure(settings: LearnSettings) -> REINFORCEConfig:
    """What of the settings is REINFORCE's alone."""
    config = REINFORCEConfig()
    config.baseline, config.baseline_decay = settings.baseline, settings.baseline_decay
    config.standardise = settings.standardise
    return config
