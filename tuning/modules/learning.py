"""A policy learned on one network: RLlib in a Ray Tune experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from rich.progress import Progress

from natrl.evaluation import Evaluator
from natrl.modules.space import ModuleSpace
from natrl.policies import load_policy, Policy
from natrl.policies.network import PolicyConfig
from natrl.rllib.config import algorithm_config
from natrl.tuning.experiment import fit, resumed_tuner
from natrl.tuning.modules.rewards import actor_resources
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["learn"]

CHECKPOINT_EVERY = 1  # iterations: each is a batch of networks to build and measure


def learn(
    space: ModuleSpace,
    build: Callable[[], Evaluator],
    settings: OptimizeSettings,
    directory: Path,
    *,
    progress: Progress | None = None,
) -> Policy:
    """Trains a policy that transforms the network, and returns it; Ray must run.

    Every episode starts from the network as it is. `build` makes the evaluator where it is needed (picklable). Tune's
    files and the policy are written to `directory`; what is there already is gone on with. RunError where training
    fails.
    """
    environment: dict[str, Any] = {"initial": [space.architecture], "rule": "nat++", "cost": "strict"}
    environment |= {"evaluator_resources": actor_resources(settings)}
    # By reference: Tune writes its configuration down, in hexadecimal, every second, and these hold the network.
    environment |= {"space": ray.put(space), "build_evaluator": ray.put(build)}
    policy = PolicyConfig(primitives=space.primitives, head=settings.head, keep=settings.keep)
    config = algorithm_config(settings.learn, policy, environment, seed=settings.seed)
    iterations = settings.learn.iterations
    tuner = resumed_tuner(config, directory, iterations=iterations, checkpoint_every=CHECKPOINT_EVERY)
    return load_policy(fit(tuner, directory, iterations=iterations, progress=progress), space=space)
