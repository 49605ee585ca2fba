"""The whole trade-off of one architecture: what a policy makes of it within each of several budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from natrl.checks.arguments import checked
from natrl.checks.fields import Range, Seed
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost
from natrl.core.transitions import check_choice
from natrl.evaluation import check_evaluator, check_scores, Evaluator
from natrl.evaluation.base import Metric
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.evaluation.surrogate.predicted import PredictedScores
from natrl.policies.policy import Policy
from natrl.spaces import Batch, Space
from natrl.spaces.budget import fewest, limit_of, Resource, RESOURCES
from natrl.spaces.budgeted import Budgeted

__all__ = ["Front", "FrontPoint", "front"]

CANDIDATES = 10  # that a model chooses among
BUDGETS = 10  # where none are given: even shares from the least that can be reached to the original's cost


@dataclass(frozen=True)
class FrontPoint:
    """One budget, and what was answered within it."""

    limit: float  # of the resource, for the network
    answer: Architecture
    cost: Cost
    predicted: float | None  # the score that a model expects; None without a model
    score: float | None  # the evaluator's; None where it was not asked
    chance: tuple[float, ...]  # scores of random transformations within the budget: the evaluator's, or else predicted

    @property
    def best_known(self) -> float | None:
        """The score, or else the prediction."""
        return self.predicted if self.score is None else self.score


@dataclass(frozen=True)
class Front:
    """Points by rising budget."""

    space: Space  # whose networks they are
    original: FrontPoint  # as it is; its limit is what it costs
    points: tuple[FrontPoint, ...]
    resource: Resource
    metric: Metric

    def on_front(self, point: FrontPoint) -> bool:
        """Whether no other point, nor the original, costs no more and scores higher, or costs less and no lower."""
        known = [p for p in (self.original, *self.points) if p.best_known is not None]
        own, cost = point.best_known, getattr(point.cost, self.resource)
        return own is not None and not any(
            (other.best_known > own and getattr(other.cost, self.resource) <= cost)  # type: ignore[operator]
            or (other.best_known >= own and getattr(other.cost, self.resource) < cost)  # type: ignore[operator]
            for other in known
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document."""

        def entry(point: FrontPoint) -> dict[str, Any]:
            return {
                "limit": point.limit,
                "architecture": point.answer.to_dict(),
                "key": point.answer.key,
                "params": point.cost.params,
                "madds": point.cost.madds,
                "predicted": point.predicted,
                "score": point.score,
                "chance": list(point.chance),
                "on_front": self.on_front(point),
            }

        return {
            "resource": self.resource,
            "metric": self.metric,
            "original": entry(self.original),
            "points": [entry(point) for point in self.points],
        }


@checked
def front(
    policy: Policy,
    architecture: Architecture,
    *,
    budgets: Sequence[float | str] | None = None,
    resource: Resource = "madds",
    evaluator: Evaluator | None = None,
    evaluations: Annotated[int, Range(0, 10**9)] | None = None,
    model: ScoreModel | None = None,
    chance: Annotated[int, Range(0, 1000)] = 8,
    seed: Seed = 0,
) -> Front:
    """The policy's answer within each budget; of equal budgets one.

    It is the most probable one, or where `model` can be trusted the one of the candidates that it predicts the most of.

    `budgets`: limits on the resource ("madds" or "params"), as `Policy.transform` takes them. `evaluator` scores the
    original and the answers, those with the largest budgets first, and then `chance` random transformations within each
    budget, as long as there are `evaluations` (None: any number of different architectures); `model` predicts what is
    not scored. ValueError where a budget is out of reach.
    """
    check_choice("resource", resource, Resource)
    space = policy.space
    whole = float(getattr(space.cost(space.check(architecture)), resource))
    mask = space.masks(architecture, policy.rule, policy.cost)
    limits = _limits(space, architecture, mask, budgets, resource, whole)
    name = f"max_{resource}"
    chooser = PredictedScores(model) if model is not None and model.is_trusted else None
    n = CANDIDATES if chooser is not None else 1
    answers = [policy.transform(architecture, n=n, evaluator=chooser, **{name: limit}).best for limit in limits]  # type: ignore[arg-type]
    drawn = [
        _random_within(space, architecture, mask, resource, limit, chance, seed + i) for i, limit in enumerate(limits)
    ]
    scores: dict[str, float] = {}
    if evaluator is not None:
        check_evaluator(evaluator)
        order = {a.key: a for a in (architecture, *reversed(answers), *(a for batch in drawn for a in batch))}
        asked = list(order.values())[:evaluations]
        if asked:
            found = check_scores(evaluator.evaluate(asked), asked, evaluator.metric)
            scores = {a.key: float(score) for a, score in zip(asked, found, strict=True)}

    def predicted(found: Sequence[Architecture]) -> list[float | None]:
        return [None] * len(found) if model is None or not found else model.predict(found).tolist()

    def point(limit: float, answer: Architecture, random: Sequence[Architecture]) -> FrontPoint:
        known = [scores.get(a.key, guess) for a, guess in zip(random, predicted(random), strict=True)]
        return FrontPoint(
            limit=limit,
            answer=answer,
            cost=space.cost(answer),
            predicted=predicted([answer])[0],
            score=scores.get(answer.key),
            chance=tuple(score for score in known if score is not None),
        )

    metric = evaluator.metric if evaluator is not None else model.metric if model is not None else "accuracy"
    points = tuple(point(*each) for each in zip(limits, answers, drawn, strict=True))
    return Front(space, point(whole, architecture, ()), points, resource, metric)


def _limits(
    space: Space,
    architecture: Architecture,
    mask: np.ndarray,
    budgets: Sequence[float | str] | None,
    resource: Resource,
    whole: float,
) -> list[float]:
    """By rising budget. ValueError on what is no limit."""
    if budgets is None:
        least = getattr(space.cost(fewest(space, architecture, mask, **{resource: 1})), resource)
        return np.unique(np.linspace(least, whole, BUDGETS)).tolist()
    if isinstance(budgets, str) or not len(budgets):
        raise ValueError(f'budgets are numbers or shares such as ["50%", "80%"], at least one; got {budgets!r:.60}')
    limits = [limit_of("a budget", budget, whole) for budget in budgets]
    if None in limits:
        raise ValueError("a budget is a number or a share, got None")
    return sorted({float(limit) for limit in limits if limit is not None})


def _random_within(
    space: Space, architecture: Architecture, mask: np.ndarray, resource: Resource, limit: float, n: int, seed: int
) -> list[Architecture]:
    """n transformations, each slot's choice drawn evenly among those after which the budget can be kept."""
    if not n:
        return []
    states, rng = Batch.of(space, [architecture] * n), np.random.default_rng(seed)
    limits = np.where(np.array(RESOURCES) == resource, limit, np.inf)
    deciding = Budgeted.of(states, limits).spending(states, np.repeat(mask[None], n, 0))
    choices = np.zeros_like(states.choices)
    for e in range(space.n_slots):
        allowed, _ = deciding.look(e)
        choices[:, e] = np.where(allowed, rng.random(allowed.shape), -1).argmax(-1)
        deciding.decide(e, choices[:, e])
    return [space.prune(a) for a in states.with_choices(choices)]
