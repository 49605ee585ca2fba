"""The best combination of single changes, as if their effects added up."""

from __future__ import annotations

import numpy as np

from natrl.core.architecture import Architecture
from natrl.search.combinations import best_combinations
from natrl.search.method import ScoredSearch
from natrl.search.reachable import Reachable
from natrl.search.replacements import Replacements

__all__ = ["Additive"]


class Additive(ScoredSearch):
    """Evaluates every single-slot change once, in random order; the answer makes those together whose sum is largest.

    (LANA, arXiv 2107.10624; Puzzle, arXiv 2411.19146. A search has no budget but its masks: of every slot the change
    that gains most, if one does.) Right where slots add up. The answer itself is not evaluated; where evaluations end
    the search, it is of what was seen.
    """

    name = "additive"

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        self._replacements = Replacements(reachable)
        made = self._replacements.architectures
        self._waiting = [made[i] for i in rng.permutation(len(made))]

    def _next(self) -> Architecture | None:
        while self._waiting:
            if self.is_new(change := self._waiting.pop()):
                return change
        return None

    def answer(self) -> Architecture:
        """What the changes seen so far make together."""
        original = self.scores.get(self.reachable.architecture.key, np.nan)
        effects = [self.scores.get(a.key, np.nan) - original for a in self._replacements.architectures]
        return best_combinations(self._replacements, np.array(effects))[0].architecture
