"""Candidates from replacements that were scored one at a time: combinations of these, beside a policy's or alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import Progress

from natrl.core.architecture import Architecture
from natrl.evaluation.base import EvaluationError, Evaluator, FailedEvaluations, itself
from natrl.evaluation.inherited import Inheriting
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.evaluation.rewards import Reward, REWARDS
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.runs.directory import ledger_file
from natrl.search import Reachable
from natrl.search.combinations import best_combinations, Combination
from natrl.search.effects import Effects, EffectsEvaluator
from natrl.search.replacements import Replacements
from natrl.spaces.budget import Budget, RESOURCES
from natrl.tuning.optimize.proposals import PolicyProposer, Proposer, scoring
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.timed import TimeLimits

__all__ = ["AdditiveProposer", "JointProposer", "from_effects"]

ROUND = 8  # combinations, and evaluations for each actor between two looks at the progress
TRIES = 3  # draws for each combination that is looked for


class AdditiveProposer(Proposer):
    """Scores the original and single replacements, and proposes combinations whose effects add up to most.

    (LANA, arXiv 2107.10624; Puzzle, arXiv 2411.19146.) Of the replacements those that may be made near the budget
    (`Effects.wanted`). The combinations are scored as they are, in rounds, and each round learns from those before what
    effects are beside others (`Effects.drawn`). A replacement that cannot be scored is not made.
    """

    knows_times = True

    def __init__(
        self, space: ModuleSpace, settings: OptimizeSettings, bar: Progress, times: TimeLimits | None = None
    ) -> None:
        """`bar` shows how many are scored."""
        self.space, self._settings, self._bar, self.times = space, settings, bar, times
        box = Reachable(space, space.architecture, rule=settings.rule, cost=settings.cost)
        self.mask, self._replacements = box.masks, Replacements(box)
        self._effects: Effects | None = None

    def first(self, limits: Limits) -> Budget:
        """Where there is no table of times with MAdds in place of latency, by the same share."""
        return self._settings.budget if self.times is None else limits.budget(self.space, self.space.architecture)

    def effects(self, budget: Budget, scorer: Evaluator) -> Effects:
        """What is known of single replacements, with all that matters near the budget."""
        if self._effects is None:
            (first,) = self._scores(scorer, [self.space.architecture], "the original")
            if np.isnan(first):
                raise EvaluationError("the original with inherited weights cannot be scored, so no replacement can")
            self._effects = Effects(self._replacements, first, self._settings.seed)
        effects = self._effects
        while len(which := effects.wanted(budget)):
            made = [self._replacements.architectures[r] for r in which]
            effects.learn(which, np.array(self._scores(scorer, made, "replacements")))
        return effects

    def candidates(self, budget: Budget, scorer: Evaluator) -> dict[Architecture, float]:
        return self.combinations(budget, scorer, self._settings.candidates)

    def combinations(
        self, budget: Budget, scorer: Evaluator, n: int, others: Mapping[Architecture, float] | None = None
    ) -> dict[Architecture, float]:
        """At most n within the budget, with their scores, and `others`. EvaluationError where none can be scored."""
        effects = self.effects(budget if self.times is None else self._settings.budget, scorer)
        scored = dict(others or {})
        most = n + len(scored)
        while len(scored) < most:
            asked = self._new(effects, budget, scored, min(ROUND, most - len(scored)))
            if not asked:
                break
            scores = self._scores(scorer, asked, "combinations")
            scored |= dict(zip(asked, scores, strict=True))
            fine = {a: score for a, score in zip(asked, scores, strict=True) if not np.isnan(score)}
            effects.learn_together(list(fine), np.array([*fine.values()]))
        scored = {a: score for a, score in scored.items() if not np.isnan(score)}
        if not scored and self.times is None:
            raise EvaluationError("no combination of replacements within the budget can be scored")
        return scored

    def _new(self, effects: Effects, budget: Budget, seen: Mapping[Architecture, float], n: int) -> list[Architecture]:
        """At most n combinations not seen yet: the best of what effects are, and of what they may be as well.

        Where these are too few, as there are few combinations, the best ones in order.
        """
        found: dict[Architecture, None] = {}
        for draw in range(TRIES * n):
            if len(found) == n:
                break
            means = effects.drawn() if draw else effects.means
            best = self._best(means, budget, 1)
            found |= dict.fromkeys(c.architecture for c in best if c.architecture not in seen)
        if len(found) < n:
            ordered = self._best(effects.means, budget, len(seen) + n)
            found |= dict.fromkeys(c.architecture for c in ordered if c.architecture not in seen)
        return list(found)[:n]

    def _best(self, means: np.ndarray, budget: Budget, n: int) -> list[Combination]:
        """Within the limits on time, too, where there is a table."""
        if self.times is None:
            return best_combinations(self._replacements, means, budget, n)
        allowed = np.where(self.times.forbidden(self._replacements.architectures), np.nan, means)
        return best_combinations(self._replacements, allowed, budget, n, self.times.further)

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


class JointProposer(Proposer):
    """What a policy proposes, a third as many as the combinations beside it, which learn from the policy's scores, too.

    (As many combinations as without a policy: with fewer of them the best one was worse.)
    """

    knows_times = True

    def __init__(self, policy: Policy, additive: AdditiveProposer, settings: OptimizeSettings) -> None:
        self.space, self.mask, self._additive, self._settings = additive.space, additive.mask, additive, settings
        self._policy, self.times = PolicyProposer(policy, settings), additive.times

    def first(self, limits: Limits) -> Budget:
        return self._additive.first(limits)

    def last(self, budget: Budget) -> Architecture:
        return self._additive.last(budget)

    def candidates(self, budget: Budget, scorer: Evaluator) -> dict[Architecture, float]:
        n = self._settings.candidates
        sampled = self._policy.samples(budget, scorer, max(1, n // 3))
        near = budget if self.times is None else self._settings.budget
        self._additive.effects(near, scorer).learn_together(list(sampled), np.array([*sampled.values()]))
        return self._additive.combinations(budget, scorer, n, sampled)


@contextmanager
def from_effects(
    additive: AdditiveProposer | None, settings: OptimizeSettings, evaluator: Inheriting, run: Path
) -> Iterator[OptimizeSettings]:
    """The settings by which a policy learns from effects, which are scored first; as they are where there are none.

    It learns for every budget on what is limited, and keeps to each by its masks: the original's divergence is none, so
    no penalty would tell it from what costs less.
    """
    if additive is None:
        yield settings
        return
    with serve_ledger(ledger_file(run)) as ledger, closing(scoring(settings, evaluator, ledger.path)) as scorer:
        predicting = EffectsEvaluator(additive.effects(settings.budget, scorer), evaluator.metric)
    with REWARDS.lent(Reward(partial(itself, predicting), inherits=True, free=True)) as name:
        spec = replace(settings.evaluator, reward=name, steps=None, actors=0)
        limited = tuple(kind for kind in RESOURCES if getattr(settings.budget, kind) is not None)
        yield replace(settings, evaluator=spec, budgets=settings.budgets or limited, budget=Budget())
