"""RLlib's PPO with its stock ActionMaskingTorchRLModule; nothing of natrl.rllib.

python examples/rllib_action_masking.py
"""

from __future__ import annotations

from collections.abc import Sequence

import gymnasium
import numpy as np
import ray
import torch
from _task import load_task, parser, report
from gymnasium.wrappers import FilterObservation
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env

from natrl.envs.wrappers import MaskedObservation

BATCH = 512


def masked(env: gymnasium.Env) -> gymnasium.Env:
    """{"observations", "action_mask"}; what the slots hold is enough: here the topology is always the same."""
    return MaskedObservation(FilterObservation(env, ["ops", "action_mask"]))


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    arguments = parser(__doc__, steps=40_000).parse_args(argv)
    torch.set_num_threads(1)  # the networks are small
    task = load_task()
    if not ray.is_initialized():
        ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    register_env("masked", lambda _: masked(task.make()))
    iterations = max(1, arguments.steps // BATCH)
    config = (
        PPOConfig()
        .environment("masked")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=32)
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=ActionMaskingTorchRLModule,
                model_config=DefaultModelConfig(fcnet_hiddens=[128, 128], head_fcnet_hiddens=[]),
            )
        )
        .learners(num_learners=0)
        .training(
            train_batch_size_per_learner=BATCH,
            minibatch_size=128,
            num_epochs=4,
            lr=[[0, 2e-3], [iterations * BATCH, 2e-4]],
            gamma=1.0,
            lambda_=1.0,
            entropy_coeff=0.02,
            use_kl_loss=False,
            grad_clip=1.0,
        )
        .debugging(seed=arguments.seed, log_level="ERROR")
    )
    algorithm = config.build_algo()
    module = algorithm.get_module()
    held_out = masked(task.make())

    @torch.no_grad()
    def choose(observation: dict[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
        batch = {Columns.OBS: {name: torch.as_tensor(value)[None] for name, value in observation.items()}}
        logits = module.forward_inference(batch)[Columns.ACTION_DIST_INPUTS]
        return logits.reshape(mask.shape).argmax(-1).numpy()

    before = task.capture(choose, held_out)
    for _ in range(iterations):
        algorithm.train()
    after = task.capture(choose, held_out)
    algorithm.stop()
    report(task, before, after, iterations * BATCH)
    if arguments.picture:
        task.draw(
            arguments.picture, f"RLlib's PPO, {iterations * BATCH:,} steps: capture {after:.3f}", choose, held_out
        )
    return before, after


if __name__ == "__main__":
    main()
