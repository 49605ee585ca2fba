"""Local search: the best change of a single slot, repeated until none helps."""

from __future__ import annotations

import numpy as np

from natrl.core.architecture import Architecture
from natrl.search.method import ScoredSearch
from natrl.search.reachable import Reachable

__all__ = ["LocalSearch"]


class LocalSearch(ScoredSearch):
    """Steepest ascent: evaluates every single-slot change, in random order, moves to the best one and starts over.

    Changes lead to anything reachable from the original, so a later one may take an earlier one back. Strong and plain
    on small spaces (White et al. 2021, arXiv 2005.02960).
    """

    name = "local-search"

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        self._surround(reachable.architecture)

    def _surround(self, present: Architecture) -> None:
        self._present = present
        self._neighbours = self.reachable.neighbours(present)
        self._waiting = [self._neighbours[i] for i in self.rng.permutation(len(self._neighbours))]

    def _next(self) -> Architecture | None:
        while True:
            while self._waiting:
                if self.is_new(neighbour := self._waiting.pop()):
                    return neighbour
            best = max(self._neighbours, key=lambda a: self.scores[a.key], default=self._present)
            if self.scores[best.key] <= self.scores[self._present.key]:
                return None
            self._surround(best)
