"""What the benchmark compares: functions from a problem to an outcome, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from natrl.bench.capture import best_reachable
from natrl.checks.kinds import complete_class, described, with_functions
from natrl.core.architecture import Architecture
from natrl.core.transitions import CostMode, Rule
from natrl.evaluation import Evaluator
from natrl.evaluation.queries import LimitedEvaluator
from natrl.registry import Registry
from natrl.search import Search, search, SEARCHES
from natrl.search.random_transform import cost_matched_random
from natrl.spaces import Space

__all__ = ["METHODS", "BenchMethod", "Outcome", "Problem", "Snapshot", "best_candidates"]

#: Queries an architecture where curves have points.
CURVE = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)


@dataclass(frozen=True)
class Problem:
    """What a method is given: architectures and the signal, nothing to report from."""

    space: Space
    rule: Rule
    training: tuple[Architecture, ...]  # initial architectures to learn from
    held_out: tuple[Architecture, ...]  # initial architectures to transform
    evaluator: LimitedEvaluator  # the signal; its limit is the method's budget
    seed: int
    reference: tuple[Architecture, ...] = ()  # what the learned policy made of `held_out`, for methods that match it
    cost: CostMode = "strict"


@dataclass(frozen=True)
class Snapshot:
    """What the method would have answered after so many queries."""

    queries: int
    answer: tuple[Architecture, ...]


@dataclass(frozen=True)
class Outcome:
    """What a method made of the held-out architectures, in their order."""

    answer: tuple[Architecture, ...]
    candidates: tuple[tuple[Architecture, ...], ...] = ()  # of each; empty: the answer was chosen on validation already
    history: tuple[Snapshot, ...] = ()  # by rising queries


@dataclass(frozen=True)
class BenchMethod:
    """A method and its name. `learned` methods train a policy, which others may have to match in cost."""

    name: str
    run: Callable[[Problem], Outcome]
    learned: bool = False
    matches: bool = False  # needs `Problem.reference`
    reads_all: bool = False  # a reference that no budget binds
    least_queries: int = 1  # the smallest budget that it can do anything with


def best_candidates(outcome: Outcome, evaluator: Evaluator) -> tuple[Architecture, ...]:
    """Of each architecture's candidates the one of the highest score, the first of equals; else the answer."""
    if not outcome.candidates:
        return outcome.answer
    scores = iter(evaluator.evaluate([a for candidates in outcome.candidates for a in candidates]).tolist())
    ranked = [[(next(scores), a) for a in candidates] for candidates in outcome.candidates]
    return tuple(max(candidates, key=lambda pair: pair[0])[1] for candidates in ranked)


def searching(method: type[Search]) -> Callable[[Problem], Outcome]:
    """A search of `natrl.search` on every held-out architecture by itself; they share the budget equally."""

    def run(problem: Problem) -> Outcome:
        each = problem.evaluator.limit // len(problem.held_out)
        results = [
            search(
                method,
                problem.space,
                architecture,
                problem.evaluator,
                budget=each,
                seed=problem.seed,
                rule=problem.rule,
                cost=problem.cost,
            )
            for architecture in problem.held_out
        ]
        history = []
        for queries in [q for q in CURVE if q < each] + [each]:
            asked = {a.key for result in results for a in result.evaluated[:queries]}
            if asked:
                history.append(Snapshot(len(asked), tuple(result.best_after(queries) for result in results)))
        return Outcome(tuple(result.best for result in results), history=tuple(history))

    return run


def match_cost(problem: Problem) -> Outcome:
    """For each architecture another one at random, of the MAdds nearest to those of what the learned policy made."""
    answer = [
        cost_matched_random(
            problem.space, before, problem.space.cost(after).madds, problem.seed, rule=problem.rule, cost=problem.cost
        )
        for before, after in zip(problem.held_out, problem.reference, strict=True)
    ]
    return Outcome(tuple(answer))


def take_best(problem: Problem) -> Outcome:
    """Reads the whole signal and takes the best reachable by it: the most that choosing by the signal can reach."""
    architectures = list(problem.space.architectures())
    order = np.argsort(problem.evaluator.evaluate(architectures), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    best = best_reachable(
        problem.space, dict(zip(architectures, ranks.tolist(), strict=True)), problem.rule, problem.cost
    )
    return Outcome(tuple(architectures[order[int(best[a])]] for a in problem.held_out))


def accept_method(found: Any) -> BenchMethod:
    """A record as it is, a class of searches as one on every held-out architecture."""
    if isinstance(found, BenchMethod):
        return with_functions(found, "run")
    if isinstance(found, type) and issubclass(found, Search):
        complete_class(found)
        return BenchMethod(getattr(found, "name", found.__name__), searching(found))
    wanted = "an object of natrl.bench.BenchMethod or a class derived from natrl.search.Search"
    raise ValueError(f"expected {wanted}, got {described(found)}")


METHODS: Registry[BenchMethod] = Registry("benchmark method", accept_method, group="natrl.bench")
_LEARNED = (
    "reinforce-lstm",
    "reinforce-joint",
    "reinforce-autoregressive",
    "ppo-joint",
    "ppo-autoregressive",
    "surrogate",
)
_OTHERS: dict[str, Any] = {
    "random-matched": BenchMethod("random-matched", match_cost, matches=True),
    "ceiling": BenchMethod("ceiling", take_best, reads_all=True),
    **{name: f"natrl.bench.learned:{name.replace('-', '_').upper()}" for name in _LEARNED},
    "model-search": "natrl.bench.model_search:MODEL_SEARCH",
}
for _entry in SEARCHES.entries():
    if _entry.name not in _OTHERS:  # a package may offer a search of any name
        METHODS.register(_entry.name, _entry.target, _entry.description)
for _name, _target in _OTHERS.items():
    METHODS.register(_name, _target)
