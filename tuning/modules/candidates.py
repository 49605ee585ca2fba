"""The last candidates: what the policy proposes, within the budget, with inherited weights."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from torch import nn, Tensor

from natrl.architecture import Architecture
from natrl.evaluation.paid import behind_ledger
from natrl.modules.evaluator import ModuleEvaluator
from natrl.modules.limits import Limits
from natrl.policies import Policy
from natrl.policies.budget import Budget
from natrl.tuning.modules.budgets import fast_enough
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["Finalist", "propose"]

TIGHTER = 0.85  # factor on the MAdds where no candidate is fast enough, and how often it is tried
TRIES = 6


class Finalist(NamedTuple):
    """A candidate that is to be fine-tuned."""

    architecture: Architecture
    network: nn.Module  # with inherited weights, on the CPU


def propose(
    policy: Policy,
    evaluator: ModuleEvaluator,
    limits: Limits,
    settings: OptimizeSettings,
    example: Tensor,
    ledger: Path,
) -> tuple[list[Finalist], int]:
    """The finalists, best validation score first, and how many candidates they were chosen from.

    Candidates keep to the budget, and to limits on latency by measurement: where none does, fewer MAdds are tried.
    Scores are looked up in the ledger, and kept there. ValueError where no candidate is fast enough.
    """
    space = evaluator.space
    original = space.architecture
    budget = limits.budget(space, original)
    madds = budget.madds
    scorer = behind_ledger(lambda: evaluator, ledger)
    for _ in range(TRIES):
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
        finalists = [Finalist(a, evaluator.inherit(a).cpu()) for a in within]
        if limits.timed:
            fast = fast_enough(space, limits, [f.network for f in finalists], example)
            finalists = [f for f, fine in zip(finalists, fast, strict=True) if fine]
        if finalists:
            return finalists[: settings.finalists], len(found)
        madds = TIGHTER * (madds or space.cost(original).madds)
    raise ValueError(
        f"no candidate keeps to {' and '.join(f'{k} {getattr(limits, k)}' for k in limits.timed)}, even with "
        f"{madds:,.0f} MAdds; allow more, or more candidates"
    )
