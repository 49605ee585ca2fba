"""One sweep of single changes."""

from __future__ import annotations

import numpy as np

from natrl.core.architecture import Architecture
from natrl.search.method import ScoredSearch
from natrl.search.reachable import Reachable

__all__ = ["Sweep"]


class Sweep(ScoredSearch):
    """Evaluates every single-slot change once; the answer makes the best one of every slot that gains, all at once.

    Right where slots add up. The answer itself is not evaluated; where a budget ends the sweep, it is of what was seen.
    """

    name = "sweep"

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        neighbours = reachable.neighbours(reachable.architecture)
        self._waiting = [neighbours[i] for i in rng.permutation(len(neighbours))]
        self._best: dict[int, tuple[float, str]] = {}  # of each slot that a change improves: its score and operation

    def _next(self) -> Architecture | None:
        while self._waiting:
            if self.is_new(neighbour := self._waiting.pop()):
                return neighbour
        return None

    def feedback(self, architecture: Architecture, score: float) -> None:
        """Takes the score; `best` is what all the best changes make together."""
        self.scores[architecture.key] = score
        original = self.reachable.architecture
        pairs = enumerate(zip(original.operations, architecture.operations, strict=True))
        changed = [(slot, new) for slot, (old, new) in pairs if old != new]
        if len(changed) != 1:  # the original, or one of whose unused parts went with a slot
            return
        ((slot, operation),) = changed
        if score > self._best.get(slot, (self.scores[original.key], ""))[0]:
            self._best[slot] = score, operation
            self.best = self._together()

    def _together(self) -> Architecture:
        names = self.reachable.space.primitives
        original = self.reachable.architecture.operations
        action = [names.index(self._best[e][1] if e in self._best else op) for e, op in enumerate(original)]
        return self.reachable.apply(self.reachable.architecture, np.array([action]))[0]
