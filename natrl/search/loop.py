"""The loop that runs a search against an evaluator."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.transitions import CostMode, Rule
from natrl.evaluation import check_evaluator, check_scores, Evaluator
from natrl.search.method import Search, SEARCHES
from natrl.search.reachable import Reachable
from natrl.spaces import Space

__all__ = ["SearchResult", "search"]


@dataclass(frozen=True)
class SearchResult:
    """The answer of a search, and what it asked for, in order; the original comes first where anything was asked."""

    best: Architecture  # of the highest score; the method's answer where it asks nothing
    evaluated: tuple[Architecture, ...]  # all different
    scores: tuple[float, ...]  # of `evaluated`

    @property
    def queries(self) -> int:
        """Number of different architectures evaluated, the original included."""
        return len(self.evaluated)

    def best_after(self, queries: int) -> Architecture:
        """The answer had the budget been so many queries (at least 1)."""
        if not self.evaluated:
            return self.best
        return self.evaluated[int(np.argmax(self.scores[:queries]))]


def search(
    method: str | type[Search],
    space: Space,
    architecture: Architecture,
    evaluator: Evaluator,
    *,
    budget: int,
    seed: int = 0,
    rule: Rule = "nat++",
    cost: CostMode = "strict",
) -> SearchResult:
    """Runs a method (`SEARCHES`) until it ends or `budget` different architectures, original included, are scored.

    Whatever it proposes is reachable by one transform, live where the original is, and never more expensive (but for
    cost="rule"). The seed and the architecture determine the result. ValueError on an unknown method, a budget below 0
    or an architecture that is not one of the space.
    """
    if budget < 0:
        raise ValueError(f"budget must be at least 0 evaluated architectures, got {budget}")
    check_evaluator(evaluator)
    rng = np.random.default_rng([seed, zlib.crc32(architecture.key.encode())])
    searcher = SEARCHES.get(method)(Reachable(space, architecture, rule=rule, cost=cost), rng)
    evaluated: list[Architecture] = []
    scores: list[float] = []
    while len(evaluated) < budget and (proposal := searcher.propose()) is not None:
        score = float(check_scores(evaluator.evaluate([proposal]), [proposal], evaluator.metric)[0])
        searcher.feedback(proposal, score)
        evaluated.append(proposal)
        scores.append(score)
    return SearchResult(searcher.answer(), tuple(evaluated), tuple(scores))
