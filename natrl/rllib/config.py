"""From settings to an RLlib configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

from natrl.policies.network import PolicyConfig
from natrl.rllib.callbacks import TransitionMetrics
from natrl.rllib.env import register
from natrl.rllib.module import module_spec
from natrl.rllib.registry import configuration
from natrl.rllib.settings import LearnSettings

__all__ = ["algorithm_config"]

#: Slow evaluators must not lose their episodes: RLlib drops a sample that takes longer (its default is 60 s).
SAMPLE_TIMEOUT_S = 7 * 24 * 3600.0


def algorithm_config(
    settings: LearnSettings,
    policy: PolicyConfig,
    environment: dict[str, Any],
    *,
    seed: int,
    start: Path | None = None,
    use_gpu: bool = False,
) -> AlgorithmConfig:
    """The configuration of the settings' algorithm, whose own part it makes; all else is set here, for any.

    `environment` holds the arguments of `ArchTransitionVectorEnv` (or `build_evaluator` instead of `evaluator`), and
    optionally `evaluator_resources` {"actors", "num_cpus", "num_gpus"} of evaluator actors that it starts. One
    update samples `batch_size` complete episodes in as many sub-environments: one policy pass and one evaluator call.
    `start`: the folder of a policy, or of a run, that learning goes on from.
    """
    resources = environment.get("evaluator_resources")
    own_cpus = 0 if resources else 1  # with actors, the algorithm waits while they work, and they while it learns
    horizon = environment.get("horizon", 1)
    steps = settings.iterations * settings.updates * settings.batch_size * horizon
    config = (
        configuration(settings)
        .environment(register(), env_config={**environment, "group_size": settings.group_size})
        .env_runners(
            num_env_runners=0,
            num_envs_per_env_runner=settings.batch_size,
            gym_env_vectorize_mode="vector_entry_point",
            batch_mode="complete_episodes",
            sample_timeout_s=SAMPLE_TIMEOUT_S,
        )
        .rl_module(rl_module_spec=module_spec(replace(policy, horizon=horizon), start))
        .learners(num_learners=0, num_gpus_per_learner=int(use_gpu), num_cpus_per_learner=own_cpus)
        .resources(num_cpus_for_main_process=own_cpus)
        .training(
            lr=[[0, settings.learning_rate], [steps, settings.final_learning_rate]],
            gamma=1.0,
            train_batch_size_per_learner=settings.batch_size * horizon,
            grad_clip=settings.gradient_clip,
            grad_clip_by="global_norm",
        )
        .callbacks(TransitionMetrics)
        .debugging(seed=seed, log_level="ERROR")
        .reporting(min_time_s_per_iteration=0, metrics_num_episodes_for_smoothing=settings.batch_size)
    )
    config.entropy_coeff = [[0, settings.entropy], [steps, settings.final_entropy]]
    # What `TransitionAlgorithm` and its learners read, beside RLlib's own.
    config.warmup_steps, config.weight_steps = settings.warmup_steps, settings.weight_steps
    config.updates = settings.updates
    config.adam = {"betas": (settings.beta1, settings.beta2), "weight_decay": settings.weight_decay}
    return config
