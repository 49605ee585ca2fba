"""Scores of a network's candidates, here or on Ray actors; under a budget they are what the policy learns from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray

from natrl.data import ImageData
from natrl.evaluation import Evaluator
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.evaluation.ledger.paid import behind_ledger
from natrl.evaluation.pool.evaluator import PoolEvaluator
from natrl.evaluation.supernet import SupernetEvaluator
from natrl.policies.budget import Budget
from natrl.policies.limits import BudgetedEvaluator
from natrl.spaces import Space
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["actor_resources", "inherited_scores", "reward"]


def reward(
    evaluator: InheritedEvaluator, budget: Budget, data: ImageData, settings: OptimizeSettings, ledger: Path
) -> Callable[[], Evaluator]:
    """What makes the evaluator where it is needed (picklable); Ray must run.

    Scores by inherited weights are kept in the ledger; those of a supernet change with its weights, and are not.
    """
    if settings.reward == "inherited":
        scores: Callable[[], Evaluator] = partial(inherited_scores, evaluator, settings, ledger)
    else:
        scores = partial(_supernet, evaluator.space, ray.put(data), settings)
    return partial(_within, scores, evaluator.space, budget)


def inherited_scores(evaluator: InheritedEvaluator, settings: OptimizeSettings, ledger: Path) -> Evaluator:
    """Scores by inherited weights, looked up in the ledger and kept there; Ray must run."""
    return behind_ledger(partial(_itself, evaluator), ledger, on_actors=_on_actors(settings))


def actor_resources(settings: OptimizeSettings) -> dict[str, Any] | None:
    """What the actors need; None without actors."""
    if not settings.actors:
        return None
    return {"actors": settings.actors, "num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus}


def _within(scores: Callable[[], Evaluator], space: Space, budget: Budget) -> Evaluator:
    return BudgetedEvaluator(scores(), space, budget)


def _itself(evaluator: InheritedEvaluator) -> InheritedEvaluator:
    return evaluator


def _supernet(space: Space, data: ray.ObjectRef, settings: OptimizeSettings) -> Evaluator:
    build = partial(_build_supernet, space, data, settings)
    on_actors = _on_actors(settings)
    return on_actors(build) if on_actors else build()


def _build_supernet(space: Space, data: ray.ObjectRef, settings: OptimizeSettings) -> Evaluator:
    return SupernetEvaluator(
        space,
        ray.get(data),
        reference_images=settings.reference_images,
        score_images=settings.validation_images,
        seed=settings.seed,
    )


def _on_actors(settings: OptimizeSettings) -> Callable[[Callable[[], Evaluator]], Evaluator] | None:
    resources = actor_resources(settings)
    return None if resources is None else partial(PoolEvaluator, **resources)
