"""The last candidates: what the policy proposes, within the budget, with inherited weights."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.evaluation.inherited import InheritedEvaluator
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.budget import Budget
from natrl.policies.limits import Limits
from natrl.tuning.modules.budgets import fast_enough, fewest_madds
from natrl.tuning.modules.rewards import inherited_scores
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["Proposal", "propose"]

TIGHTER = 0.85  # factor on the MAdds where no candidate is fast enough, and how often it is tried
TRIES = 6


class Proposal(NamedTuple):
    """A candidate that is to be fine-tuned."""

    architecture: Architecture
    network: nn.Module  # with inherited weights, on the CPU


def propose(
    space: ModuleSpace,
    policy: Policy,
    evaluator: InheritedEvaluator,
    limits: Limits,
    settings: OptimizeSettings,
    example: Tensor,
    ledger: Path,
) -> tuple[list[Proposal], int]:
    """The finalists, best validation score first, and how many candidates they were chosen from.

    Candidates keep to the budget, and to limits on latency by measurement: where none does, fewer MAdds are tried, and
    in the end the network with the fewest, which `check_budget` has found to be fast enough. Scores are looked up in
    the ledger, and kept there. ValueError where not even that one is.
    """
    original = space.architecture
    budget = limits.budget(space, original)
    madds = budget.madds
    least = fewest_madds(space, space.masks(original))
    for _ in range(TRIES):
        with closing(inherited_scores(evaluator, settings, ledger)) as scorer:
            found = policy.transform(
                original,
                n=settings.candidates,
                evaluator=scorer,
                max_madds=madds,
                max_params=budget.params,
                seed=settings.seed,
            )
        assert found.scores is not None
        order = sorted(range(len(found)), key=lambda i: (-found.scores[i], found.costs[i].madds))  # type: ignore[index]
        within = [found.architectures[i] for i in order if Budget(madds, budget.params).allows(found.costs[i])]
        finalists = _first_fast_enough(space, within, evaluator, limits, settings.finalists, example)
        if finalists:
            return finalists, len(found)
        madds = max(space.cost(least).madds, TIGHTER * (madds or space.cost(original).madds))
    if finalists := _first_fast_enough(space, [least], evaluator, limits, 1, example):
        return finalists, 1
    wanted = " and ".join(f"{kind} {getattr(limits, kind)}" for kind in limits.timed)
    raise ValueError(f"no candidate keeps to {wanted}, not even that of the fewest MAdds any more; allow more")


def _first_fast_enough(
    space: ModuleSpace,
    architectures: Sequence[Architecture],
    evaluator: InheritedEvaluator,
    limits: Limits,
    n: int,
    example: Tensor,
) -> list[Proposal]:
    """At most n that keep to the limits on latency; no more networks are made than it takes to find them."""
    found: list[Proposal] = []
    for start in range(0, len(architectures), n):
        part = [Proposal(a, evaluator.inherit(a).cpu()) for a in architectures[start : start + n]]
        fast = fast_enough(space, limits, [f.network for f in part], example)
        found += [f for f, fine in zip(part, fast, strict=True) if fine]
        if len(found) >= n:
            break
    return found[:n]
