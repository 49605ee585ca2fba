"""Candidates without a policy: the best combinations of replacements that were scored one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.progress import Progress

from natrl.core.architecture import Architecture
from natrl.evaluation.base import EvaluationError, Evaluator, FailedEvaluations
from natrl.modules.space import ModuleSpace
from natrl.policies.limits import Limits
from natrl.search import Reachable
from natrl.search.combinations import best_combinations
from natrl.search.replacements import Replacements
from natrl.spaces.budget import Budget
from natrl.tuning.optimize.proposals import Proposer
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.timed import TimeLimits

__all__ = ["AdditiveProposer"]

ROUND = 8  # evaluations for each actor between two looks at the progress


class AdditiveProposer(Proposer):
    """Scores the original and every single replacement, and proposes the combinations whose effects add up to most.

    (LANA, arXiv 2107.10624; Puzzle, arXiv 2411.19146.) Then the combinations are scored as they are. A replacement
    that cannot be scored is not made.
    """

    knows_times = True

    def __init__(
        self, space: ModuleSpace, settings: OptimizeSettings, bar: Progress, times: TimeLimits | None = None
    ) -> None:
        """`bar` shows how many are scored."""
        self.space, self._settings, self._bar, self.times = space, settings, bar, times
        box = Reachable(space, space.architecture, rule=settings.rule, cost=settings.cost)
        self.mask, self._replacements = box.masks, Replacements(box)
        self._effects: np.ndarray | None = None

    def first(self, limits: Limits) -> Budget:
        return limits.budget(self.space, self.space.architecture)

    def candidates(self, budget: Budget, scorer: Evaluator) -> dict[Architecture, float]:
        """EvaluationError where the original, or every combination, fails."""
        if self._effects is None:
            asked = [self.space.architecture, *self._replacements.architectures]
            first, *others = self._scores(scorer, asked, "replacements")
            if np.isnan(first):
                raise EvaluationError("the original with inherited weights cannot be scored, so no replacement can")
            self._effects = np.array(others) - first
        effects, further = self._effects, None
        if self.times is not None:
            effects = np.where(self.times.forbidden(self._replacements.architectures), np.nan, effects)
            further = self.times.further
        found = best_combinations(self._replacements, effects, budget, self._settings.candidates, further)
        if not found:
            return {}
        architectures = [combination.architecture for combination in found]
        scores = zip(architectures, self._scores(scorer, architectures, "combinations"), strict=True)
        scored = {a: score for a, score in scores if not np.isnan(score)}
        if not scored:
            raise EvaluationError("no combination of replacements within the budget can be scored")
        return scored

    def last(self, budget: Budget) -> Architecture:
        """The fastest by the table."""
        if self.times is None:
            return super().last(budget)
        gained = self.times.gained(self._replacements.architectures)
        return best_combinations(self._replacements, gained, budget)[0].architecture

    def _scores(self, scorer: Evaluator, architectures: Sequence[Architecture], what: str) -> list[float]:
        """Of N architectures, NaN where one failed."""
        shown = self._bar.add_task(what, total=len(architectures), note="")
        at_once = ROUND * max(1, self._settings.evaluator.actors)
        scores: list[float] = []
        for start in range(0, len(architectures), at_once):
            part = architectures[start : start + at_once]
            try:
                scores += scorer.evaluate(part).tolist()
            except FailedEvaluations as error:
                scores += error.scores.tolist()
            self._bar.update(shown, completed=len(scores))
        return scores
