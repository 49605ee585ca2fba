"""Regularized evolution within what one transform reaches."""

from __future__ import annotations

from collections import deque

import numpy as np

from natrl.core.architecture import Architecture
from natrl.search.random import RandomSearch
from natrl.search.reachable import Reachable

__all__ = ["Evolution"]

POPULATION = 4
TOURNAMENT = 3
STEPS = 32  # single-slot changes in a row until one is new


class Evolution(RandomSearch):
    """Regularized evolution (Real et al. 2019, arXiv 1802.01548): tournament, mutation of one slot, the oldest dies.

    The first generation is the original and random transitions. A population of 4 (the paper's has 100) suits the tens
    of evaluations that one architecture gets. A mutation that was proposed before is mutated on.
    """

    name = "evolution"

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        self._population: deque[Architecture] = deque(maxlen=POPULATION)

    def feedback(self, architecture: Architecture, score: float) -> None:
        super().feedback(architecture, score)
        self._population.append(architecture)

    def _next(self) -> Architecture | None:
        if len(self._population) < POPULATION:
            return super()._next()
        contestants = self.rng.choice(POPULATION, TOURNAMENT, replace=False)
        child = max((self._population[i] for i in contestants), key=lambda a: self.scores[a.key])
        for _ in range(STEPS):
            neighbours = self.reachable.neighbours(child)
            child = neighbours[self.rng.integers(len(neighbours))]
            if self.is_new(child):
                return child
        return None
