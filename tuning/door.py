"""What guides call: `natrl.train`, `natrl.transform`, `natrl.front`, `natrl.evaluate`.

What needs a Ray starts one of its own if none runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture
from natrl.core.genotypes import parse
from natrl.data import ImageData, load_data
from natrl.policies import load_policy, Policy
from natrl.policies.candidates import Candidates
from natrl.policies.front import Front
from natrl.policies.front import front as trade_off
from natrl.policies.pretrained import policy_path
from natrl.runs.scores import predicted_scores, score_model
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton
from natrl.spaces.networks import Networks
from natrl.training.fitting import TrainingResult
from natrl.training.schedule import Schedule
from natrl.training.schedule import schedule as find_schedule
from natrl.tuning import run
from natrl.tuning.comparison import train_all
from natrl.tuning.session import ray_session

__all__ = ["evaluate", "front", "train", "transform"]


@checked
def train(
    settings: RunSettings | None = None, *, out: Path | str, resume: bool = False, address: str | None = None
) -> Path:
    """Trains a policy in the run directory `out` and returns it: `natrl.load_policy(out)` reads the policy.

    `settings`: None: the defaults, or with `resume` those that the run was begun with. `resume`: go on with the run in
    `out`, to more iterations if the settings say so. `address`: a Ray cluster, as the command line has it. ValueError
    on settings that cannot work, before anything is written; RunError where training fails.
    """
    with ray_session(address, hint="call natrl.train again with resume=True"):
        return run.resume(out, settings=settings) if resume else run.train(settings or RunSettings(), out)


@checked
def transform(architecture: Architecture | str, policy: Policy | Path | str, **options: Any) -> Candidates:
    """What a policy makes of an architecture or of a notation that `natrl.parse` reads; needs no Ray.

    `policy`: it, or the directory of a run. `options`: those of `Policy.transform`, such as n, max_madds and evaluator;
    without one the model of what the run has paid for chooses, where it can be trusted (`natrl.runs.scores`).
    """
    found = policy if isinstance(policy, Policy) else load_policy(policy)
    before = parse(architecture) if isinstance(architecture, str) else architecture
    if not isinstance(policy, Policy) and "evaluator" not in options:
        options["evaluator"] = predicted_scores(policy_path(policy), len(before.operations))
    return found.transform(before, **options)


@checked
def front(architecture: Architecture | str, policy: Policy | Path | str, **options: Any) -> Front:
    """What a policy makes of an architecture, or of a notation, within each of several budgets; needs no Ray.

    `policy`: it, or the directory of a run. `options`: those of `natrl.policies.front.front`, such as budgets,
    evaluator and evaluations; `model` is that of what the run has paid for.
    """
    found = policy if isinstance(policy, Policy) else load_policy(policy)
    before = parse(architecture) if isinstance(architecture, str) else architecture
    if not isinstance(policy, Policy):
        options = {"model": score_model(policy_path(policy), len(before.operations))} | options
    return trade_off(found, before, **options)


@checked
def evaluate(
    architectures: Sequence[Architecture],
    *,
    data: ImageData | str,
    networks: Networks | None = None,
    schedule: Schedule | str = "quick",
    seeds: Sequence[int] = (0, 1, 2),
    address: str | None = None,
    **options: Any,
) -> list[list[TrainingResult]]:
    """Trains architectures from scratch on Ray; `results[architecture][seed]`, validation accuracies in [0, 1].

    `networks`: a space or a skeleton; None: the papers' skeleton. `options`: those of
    `natrl.tuning.comparison.train_all`, such as read_test and num_gpus. ValueError or RuntimeError with the training's
    own message if one fails.
    """
    images = load_data(data) if isinstance(data, str) else data
    with ray_session(address):
        return train_all(
            architectures, networks or Skeleton(), images, find_schedule(schedule), seeds=tuple(seeds), **options
        )
