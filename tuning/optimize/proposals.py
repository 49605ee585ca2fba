"""The last candidates: what is proposed within the budget, with inherited weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from natrl.core.architecture import Architecture
from natrl.evaluation.base import Evaluator, itself
from natrl.evaluation.inherited import Inheriting
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.spaces.budget import Budget
from natrl.tuning.finalists import Finalist
from natrl.tuning.optimize.budgets import fast_enough, fewest_madds, shares_of_time
from natrl.tuning.optimize.settings import OptimizeSettings
from natrl.tuning.optimize.timed import TimeLimits

__all__ = ["PolicyProposer", "Proposer", "propose", "scoring"]

TIGHTER = 0.85  # factor on the MAdds where no candidate is fast enough, and how often it is tried
TRIES = 6


class Proposer(ABC):
    """What proposes transformations of a network."""

    space: ModuleSpace
    mask: np.ndarray  # bool (E, K): what the network's slots may become
    times: TimeLimits | None = None  # limits on time by a table
    knows_times = False  # whether candidates are found under these; else under fewer MAdds where they take too long

    @abstractmethod
    def first(self, limits: Limits) -> Budget:
        """What candidates have to keep to at first; where none of them is fast enough, MAdds are limited further."""

    @abstractmethod
    def candidates(self, budget: Budget, scorer: Evaluator) -> dict[Architecture, float]:
        """Candidates and their scores; some keep to the budget. What is scored may cost much, and is kept by `scorer`.

        Asked again with other budgets.
        """

    def last(self, budget: Budget) -> Architecture:
        """What is tried where no candidate is fast enough."""
        return fewest_madds(self.space, self.mask)


class PolicyProposer(Proposer):
    """A policy, its most probable transformation and samples."""

    def __init__(self, policy: Policy, settings: OptimizeSettings, times: TimeLimits | None = None) -> None:
        assert isinstance(policy.space, ModuleSpace)
        self.times = times
        self.space, self._policy, self._settings = policy.space, policy, settings
        self.mask = self.space.masks(self.space.architecture, policy.rule, policy.cost)

    def first(self, limits: Limits) -> Budget:
        return limits.budget(self.space, self.space.architecture)

    def candidates(self, budget: Budget, scorer: Evaluator) -> dict[Architecture, float]:
        return self.samples(budget, scorer, self._settings.candidates)

    def samples(self, budget: Budget, scorer: Evaluator, n: int) -> dict[Architecture, float]:
        """The network, what is most probable, and at most n samples."""
        found = self._policy.transform(
            self.space.architecture,
            n=n,
            evaluator=scorer,
            max_madds=budget.madds,
            max_params=budget.params,
            seed=self._settings.seed,
        )
        assert found.scores is not None
        return dict(zip(found.architectures, found.scores.tolist(), strict=True))


def propose(
    proposer: Proposer,
    evaluator: Inheriting,
    limits: Limits,
    settings: OptimizeSettings,
    example: tuple[Tensor, ...],
    ledger: Path | None,
) -> tuple[list[Finalist], int]:
    """The finalists, best validation score first, and how many candidates they were chosen from.

    Candidates keep to the budget, and to limits on latency by measurement: where none does, less time by the table is
    tried or, where there is none, fewer MAdds, and in the end the proposer's `last`. Scores are looked up in the
    ledger, and kept there. ValueError where not even that one is fast enough, with what would be.
    """
    space, budget = proposer.space, proposer.first(limits)
    least = fewest_madds(space, proposer.mask)
    with closing(scoring(settings, evaluator, ledger)) as scorer:
        for _ in range(TRIES):
            scores = proposer.candidates(budget, scorer)
            costs = {a: space.cost(a) for a in scores}
            within = [a for a in scores if budget.allows(costs[a])]
            ranked = {a: scores[a] for a in sorted(within, key=lambda a: (-scores[a], costs[a].madds))}
            if proposer.times is not None and ranked:
                fast = proposer.times.allows(list(ranked))
                ranked = {a: score for (a, score), fine in zip(ranked.items(), fast, strict=True) if fine}
            finalists = _first_fast_enough(space, ranked, evaluator, limits, settings, example)
            if finalists:
                return finalists, len(scores)
            if proposer.times is not None and proposer.knows_times:
                proposer.times.tighten()
                continue
            fewer = TIGHTER * (budget.madds or space.cost(space.architecture).madds)
            budget = replace(budget, madds=max(space.cost(least).madds, fewer))
    least = proposer.last(proposer.first(limits))
    if finalists := _first_fast_enough(
        space, {least: None}, evaluator, limits, replace(settings, finalists=1), example
    ):
        return finalists, 1
    wanted = " and ".join(f"{kind} {getattr(limits, kind)}" for kind in limits.timed)
    what = "fastest by its layers" if proposer.knows_times else "fewest MAdds any more"
    can = shares_of_time(space, limits, space.build(least), example, settings)
    raise ValueError(f"no candidate keeps to {wanted}, not even that of the {what}, which takes {can}; allow more")


def scoring(settings: OptimizeSettings, evaluator: Inheriting, ledger: Path | None) -> Evaluator:
    """What candidates are chosen by, on its actors; scores are looked up in the ledger, and kept there."""
    return settings.chooser.behind(partial(itself, evaluator), ledger)


def _first_fast_enough(
    space: ModuleSpace,
    scores: Mapping[Architecture, float | None],
    evaluator: Inheriting,
    limits: Limits,
    settings: OptimizeSettings,
    example: tuple[Tensor, ...],
) -> list[Finalist]:
    """The finalists that keep to the limits on latency; no more networks are made than it takes to find them."""
    found: list[Finalist] = []
    n = settings.finalists
    ranked = list(scores.items())
    for start in range(0, len(ranked), n):
        part = [Finalist(a, score, network=evaluator.inherit(a).cpu()) for a, score in ranked[start : start + n]]
        fast = fast_enough(space, limits, [f.network for f in part if f.network is not None], example, settings)
        found += [f for f, fine in zip(part, fast, strict=True) if fine]
        if len(found) >= n:
            break
    return found[:n]
