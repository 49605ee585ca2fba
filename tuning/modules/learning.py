"""A policy learned on one network: RLlib in a Ray Tune experiment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.progress import Progress

from natrl.evaluation import Evaluator
from natrl.evaluation.pool import PoolEvaluator
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig
from natrl.policies.storage import read_policy
from natrl.rllib.config import algorithm_config
from natrl.tuning.experiment import fit, new_tuner
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["learn"]


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
    files and the policy are written to `directory`. RunError where training fails.
    """
    policy = PolicyConfig(primitives=space.primitives, head=settings.head, keep=settings.keep)
    config = algorithm_config(settings.learn, policy, _environment(space, build, settings), seed=settings.seed)
    iterations = settings.learn.iterations
    tuner = new_tuner(config, directory, iterations=iterations, checkpoint_every=0)
    network, stored = read_policy(fit(tuner, directory, iterations=iterations, progress=progress))
    return Policy(network, space, stored.rule, stored.cost)  # type: ignore[arg-type]  # as the environment had them


def _environment(space: ModuleSpace, build: Callable[[], Evaluator], settings: OptimizeSettings) -> dict[str, Any]:
    environment: dict[str, Any] = {"space": space, "initial": [space.architecture], "rule": "nat++", "cost": "strict"}
    if not settings.actors:
        return environment | {"build_evaluator": build}
    resources: dict[str, Any] = {
        "actors": settings.actors,
        "num_cpus": settings.num_cpus,
        "num_gpus": settings.num_gpus,
    }
    return environment | {
        "build_evaluator": partial(PoolEvaluator, build, **resources),
        "evaluator_resources": resources,
    }
