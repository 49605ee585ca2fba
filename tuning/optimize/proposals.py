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
from natrl.evaluation.base import Evaluator
from natrl.evaluation.inherited import Inheriting
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.spaces.budget import Budget
from natrl.tuning.finalists import Finalist
from natrl.tuning.optimize.budgets import fast_enough, fewest_madds
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["PolicyProposer", "Proposer", "propose", "scoring"]

TIGHTER = 0.85  # factor on the MAdds where no candidate is fast enough, and how often it is tried
TRIES = 6


class Proposer(ABC):
    """What proposes transformations of a network."""

    space: ModuleSpace
    mask: np.ndarray  # bool (E, K): what the network's slots may become

    @abstractmethod
    def first(self, limits: Limits) -> Budget:
        """What candidates have to keep to at first; where none of them is fast enough, MAdds are limited further."""

    @abstractmethod
    def candidates(self, budget: Budget, scorer: Evaluator) -> dict[Architecture, float]:
        """Candidates and their scores; some keep to the budget. What is scored may cost much, and is kept by `scorer`.

        Asked again with other budgets.
        """


class PolicyProposer(Proposer):
    """A policy, its most probable transformation and samples."""

    def __init__(self, policy: Policy, settings: OptimizeSettings) -> None:
        assert isinstance(policy.space, ModuleSpace)
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

    Candidates keep to the budget, and to limits on latency by measurement: where none does, fewer MAdds are tried, and
    in the end the network with the fewest, which `check_budget` has found to be fast enough. Scores are looked up in
    the ledger, and kept there. ValueError where not even that one is.
    """
    space, budget = proposer.space, proposer.first(limits)
    least = fewest_madds(space, proposer.mask)
    with closing(scoring(settings, evaluator, ledger)) as scorer:
        for _ in range(TRIES):
            scores = proposer.candidates(budget, scorer)
            costs = {a: space.cost(a) for a in scores}
            within = [a for a in scores if budget.allows(costs[a])]
            ranked = {a: scores[a] for a in sorted(within, key=lambda a: (-scores[a], costs[a].madds))}
            finalists = _first_fast_enough(space, ranked, evaluator, limits, settings.finalists, example)
            if finalists:
                return finalists, len(scores)
            fewer = TIGHTER * (budget.madds or space.cost(space.architecture).madds)
            budget = replace(budget, madds=max(space.cost(least).madds, fewer))
    if finalists := _first_fast_enough(space, {least: None}, evaluator, limits, 1, example):
        return finalists, 1
    wanted = " and ".join(f"{kind} {getattr(limits, kind)}" for kind in limits.timed)
    raise ValueError(f"no candidate keeps to {wanted}, not even that of the fewest MAdds any more; allow more")


def scoring(settings: OptimizeSettings, evaluator: Inheriting, ledger: Path | None) -> Evaluator:
    """What candidates are chosen by, on its actors; scores are looked up in the ledger, and kept there."""
    return settings.chooser.behind(partial(_itself, evaluator), ledger)


def _itself(evaluator: Inheriting) -> Inheriting:
    return evaluator


def _first_fast_enough(
    space: ModuleSpace,
    scores: Mapping[Architecture, float | None],
    evaluator: Inheriting,
    limits: Limits,
    n: int,
    example: tuple[Tensor, ...],
) -> list[Finalist]:
    """At most n that keep to the limits on latency; no more networks are made than it takes to find them."""
    found: list[Finalist] = []
    ranked = list(scores.items())
    for start in range(0, len(ranked), n):
        part = [Finalist(a, score, network=evaluator.inherit(a).cpu()) for a, score in ranked[start : start + n]]
        fast = fast_enough(space, limits, [f.network for f in part if f.network is not None], example)
        found += [f for f, fine in zip(part, fast, strict=True) if fine]
        if len(found) >= n:
            break
    return found[:n]
