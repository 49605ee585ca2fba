"""A model of scores without a policy: what it is fitted on follows ascents on its predictions, and so do answers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from natrl.bench.climbing import climb, varied
from natrl.bench.methods import BenchMethod, Outcome, Snapshot, Task
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


def search_on_model(task: Task) -> Outcome:
    """Local search on the predictions of a `ScoreModel`, from every held-out architecture; spends the whole budget."""
    rng = np.random.default_rng(task.seed)
    paid: dict[str, Architecture] = {}
    scores: list[float] = []
    history: list[Snapshot] = []
    held_out = Batch.of(task.space, task.held_out)
    model: ScoreModel | None = None
    for end in np.linspace(FIRST * task.evaluator.limit, task.evaluator.limit, ROUNDS + 1).round().astype(int).tolist():
        new = _first(task, paid, end, rng) if model is None else _next(task, model, paid, end, rng)
        paid |= new
        scores += task.evaluator.evaluate(list(new.values())).tolist()
        model = ScoreModel(list(paid.values()), np.array(scores), task.evaluator.metric, task.seed)
        answer = climb(held_out, model.predict, rule=task.rule, cost=task.cost)
        history.append(Snapshot(task.evaluator.evaluations, tuple(answer)))
    return Outcome(history[-1].answer, history=tuple(history))


def _starts(task: Task, n: int, rng: np.random.Generator) -> Batch:
    return Batch.of(task.space, [task.training[i] for i in rng.integers(len(task.training), size=n)])


def _first(task: Task, paid: dict[str, Architecture], end: int, rng: np.random.Generator) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for _ in range(PATIENCE):
        starts = _starts(task, 2 * end, rng)
        half = starts.take(slice(end, None))
        made = varied(half, 1.0, rng, half, rule=task.rule, cost=task.cost)
        pairs = (a for pair in zip(starts.take(slice(0, end)), made, strict=True) for a in pair)
        if _take(pairs, found, paid, end):
            break
    return found


def _next(
    task: Task, model: ScoreModel, paid: dict[str, Architecture], end: int, rng: np.random.Generator
) -> dict[str, Architecture]:
    found: dict[str, Architecture] = {}
    for turn in range(PATIENCE):
        starts = _starts(task, min(ASCENTS, 2 * (end - len(paid))), rng)
        best = climb(starts, model.predict, rule=task.rule, cost=task.cost)
        share = VARIED + (1 - VARIED) * turn / PATIENCE
        if _take(varied(best, share, rng, starts, rule=task.rule, cost=task.cost), found, paid, end):
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
