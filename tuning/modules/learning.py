"""A policy learned on one network: RLlib in a Ray Tune experiment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from rich.progress import Progress

from natrl.evaluation import Evaluator
from natrl.evaluation.pool import PoolEvaluator
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.network import PolicyConfig
from natrl.policies.storage import read_policy
from natrl.rllib.config import algorithm_config
from natrl.tuning.modules.settings import OptimizeSettings
from natrl.tuning.progress import follow, ProgressLine
from natrl.tuning.run import RunError
from natrl.tuning.rundir import publish_policy, tune_dir

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
    tuner = tune.Tuner(
        config.algo_class,
        param_space=config,
        run_config=tune.RunConfig(
            name=tune_dir(directory).name,
            storage_path=str(directory.resolve()),
            stop={"training_iteration": settings.learn.iterations},
            checkpoint_config=tune.CheckpointConfig(num_to_keep=1, checkpoint_at_end=True),
            callbacks=[ProgressLine()],
            verbose=0,
        ),
        tune_config=tune.TuneConfig(trial_dirname_creator=lambda trial: "trial"),
    )
    with follow(progress, settings.learn.iterations):
        result = tuner.fit()[0]
    if result.error is not None or result.checkpoint is None:
        reason = str(result.error).strip().splitlines()[-1] if result.error else "it made no checkpoint"
        raise RunError(f"training the policy failed: {reason} (logs in {tune_dir(directory)})")
    network, stored = read_policy(publish_policy(directory, Path(result.checkpoint.path)))
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
