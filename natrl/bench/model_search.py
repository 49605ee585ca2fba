"""A model of scores without a policy: what it is fitted on follows ascents on its predictions, and so do answers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from natrl.bench.climbing import climb, varied
from natrl.bench.methods import BenchMethod, Outcome, Problem, Snapshot
from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.evaluation.base import LEAST_QUERIES
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.spaces import Batch

__all__ = ["search_on_model"]

FIRST = 1 / 3  # of the budget: random architectures and random transformations, half each
ROUNDS = 5
VARIED = 0.25  # share of the slots of what an ascent finds that is drawn anew before it is paid for
ASCENTS = 256  # at once
PATIENCE = 20  # batches of ascents without anything new


def search_on_model(problem: Problem) -> Outcome:
    """Local search on the predictions of a `ScoreModel`, from every held-out architecture; spends the whole budget."""
    rng = np.random.default_rng(problem.seed)
    paid: dict[str, Architecture] = {}
    scores: list[float] = []
    history: list[Snapshot] = []
    held_out = Batch.of(problem.space, problem.held_out)
    model: ScoreModel | None = None
    for end in (
        np.linspace(FIRST * problem.evaluator.limit, problem.evaluator.limit, ROUNDS + 1).round().astype(int).tolist()
    ):
        new = _first(problem, paid, end, rng) if model is None else _next(problem, model, paid, end, rng)
        paid |= new
        scores += problem.evaluator.evaluate(list(new.values())).tolist()
        model = ScoreModel(list(paid.values()), np.array(scores), problem.evaluator.metric, problem.seed)
        answer = climb(held_out, model.predict, rule=problem.rule, cost=problem.cost)
        history.append(Snapshot(problem.evaluator.evaluations, tuple(answer)))
    return Outcome(history[-1].answer, history=tuple(history))


def _starts(problem: Problem, n: int, rng: np.random.Generator) -> Batch:
    return Batch.of(problem.space, [problem.training[i] for i in rng.integers(len(problem.training), size=n)])


def _first(
    problem: Problem, paid: dict[str, Architecture], end: int, rng: np.random.Generator
) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for _ in range(PATIENCE):
        starts = _starts(problem, 2 * end, rng)
        half = starts.take(slice(end, None))
        made = varied(half, 1.0, rng, half, rule=problem.rule, cost=problem.cost)
        pairs = (a for pair in zip(starts.take(slice(0, end)), made, strict=True) for a in pair)
        if _take(pairs, found, paid, end):
            break
    return found


def _next(
    problem: Problem, model: ScoreModel, paid: dict[str, Architecture], end: int, rng: np.random.Generator
) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for turn in range(PATIENCE):
        starts = _starts(problem, min(ASCENTS, 2 * (end - len(paid))), rng)
        best = climb(starts, model.predict, rule=problem.rule, cost=problem.cost)
        share = VARIED + (1 - VARIED) * turn / PATIENCE
        if _take(varied(best, share, rng, starts, rule=problem.rule, cost=problem.cost), found, paid, end):
            break
    return found


def _take(
    architectures: Iterable[Architecture], found: dict[str, Architecture], paid: dict[str, Architecture], end: int
) -> bool:
    """Adds those of new functions to `found`; whether there are enough."""
    for architecture in architectures:
        if len(paid) + len(found) >= end:
            return True
        if (key := function_key(architecture)) not in paid:
            found.setdefault(key, architecture)
    return len(paid) + len(found) >= end


MODEL_SEARCH = BenchMethod("model-search", search_on_model, least_queries=LEAST_QUERIES)
