"""Random transitions: one of them unseen, or the best of several."""

from __future__ import annotations

from collections import deque

import numpy as np

from natrl.core.architecture import Architecture
from natrl.search.method import Identity, ScoredSearch
from natrl.search.reachable import Reachable

__all__ = ["Random", "RandomSearch"]

DRAWS = 64  # drawn at once
PATIENCE = 8  # so many draws in a row without a new architecture end a search


class Random(Identity):
    """One random valid transition to another architecture (itself where there is no other), and asks nothing."""

    name = "random"

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        others = (a for _ in range(PATIENCE) for a in reachable.sample(DRAWS, rng) if a.key != self.best.key)
        self.best = next(others, self.best)


class RandomSearch(ScoredSearch):
    """The original and different random transitions; ends where draws bring nothing new any more."""

    name = "random-search"

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        self._drawn: deque[Architecture] = deque()

    def _next(self) -> Architecture | None:
        for _ in range(PATIENCE):
            while self._drawn:
                if self.is_new(drawn := self._drawn.popleft()):
                    return drawn
            self._drawn.extend(self.reachable.sample(DRAWS, self.rng))
        return None
