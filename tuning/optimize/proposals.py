"""The last candidates: what the policy proposes, within the budget, with inherited weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from torch import Tensor

from natrl.core.architecture import Architecture
from natrl.evaluation.inherited import Inheriting
from natrl.modules.space import ModuleSpace
from natrl.policies import Policy
from natrl.policies.limits import Limits
from natrl.spaces.budget import Budget
from natrl.tuning.finalists import Finalist
from natrl.tuning.optimize.budgets import fast_enough, fewest_madds
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["propose"]

TIGHTER = 0.85  # factor on the MAdds where no candidate is fast enough, and how often it is tried
TRIES = 6


def propose(
    space: ModuleSpace,
    policy: Policy,
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
    original = space.architecture
    budget = limits.budget(space, original)
    madds = budget.madds
    least = fewest_madds(space, space.masks(original, policy.rule, policy.cost))
    for _ in range(TRIES):
        with closing(settings.chooser.behind(partial(_itself, evaluator), ledger)) as scorer:
            found = policy.transform(
                original,
                n=settings.candidates,
                evaluator=scorer,
                max_madds=madds,
                max_params=budget.params,
                seed=settings.seed,
            )
        assert found.scores is not None
        scores = found.scores.tolist()
        within = [i for i in range(len(found)) if Budget(madds, budget.params).allows(found.costs[i])]
        order = sorted(within, key=lambda i: (-scores[i], found.costs[i].madds))
        ranked = {found.architectures[i]: scores[i] for i in order}
        finalists = _first_fast_enough(space, ranked, evaluator, limits, settings.finalists, example)
        if finalists:
            return finalists, len(found)
        madds = max(space.cost(least).madds, TIGHTER * (madds or space.cost(original).madds))
    if finalists := _first_fast_enough(space, {least: None}, evaluator, limits, 1, example):
        return finalists, 1
    wanted = " and ".join(f"{kind} {getattr(limits, kind)}" for kind in limits.timed)
    raise ValueError(f"no candidate keeps to {wanted}, not even that of the fewest MAdds any more; allow more")


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
