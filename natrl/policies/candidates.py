"""What a policy proposes for one architecture, and which proposal is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from natrl.core.architecture import Architecture, Slot
from natrl.core.operations import Cost, VOCABULARY_INDEX
from natrl.spaces import Space
from natrl.spaces.budget import Budget

__all__ = ["Candidates", "Change"]


@dataclass(frozen=True)
class Change:
    """One slot whose operation was replaced."""

    index: int  # of the slot
    slot: Slot
    before: str
    after: str
    saving: Cost  # what the network saves by it; counts can be negative only under cost="rule"


@dataclass(frozen=True)
class Candidates:
    """N different architectures: the original first, the policy's most probable transformation, and samples."""

    architectures: tuple[Architecture, ...]
    log_probabilities: np.ndarray  # float64 (N,): of the policy's actions
    costs: tuple[Cost, ...]  # of the networks
    scores: np.ndarray | None  # float64 (N,): the evaluator's, if there is one
    best_index: int
    space: Space  # whose networks they are

    @property
    def original(self) -> Architecture:
        return self.architectures[0]

    @property
    def best(self) -> Architecture:
        """The chosen one."""
        return self.architectures[self.best_index]

    def __len__(self) -> int:
        return len(self.architectures)

    def changes(self, architecture: Architecture | None = None) -> tuple[Change, ...]:
        """The changed slots of the chosen architecture, or of another one of the same topology."""
        before, after = self.original, architecture or self.best
        table = self.space.cost_table(before).slots
        changes = []
        for i in before.changes(after):
            old, new = before.operations[i], after.operations[i]
            params, madds = (table[i, VOCABULARY_INDEX[old]] - table[i, VOCABULARY_INDEX[new]]).tolist()
            changes.append(Change(i, before.slots[i], old, new, Cost(params, madds)))
        return tuple(changes)


def best_within(
    log_probabilities: np.ndarray, costs: Sequence[Cost], scores: np.ndarray | None, preferred: int, budget: Budget
) -> int:
    """The index of the best candidate within the budget, which at least one is.

    With scores the highest one, the cheaper of equals; without, `preferred`, or else the most probable.
    """
    within = [i for i, cost in enumerate(costs) if budget.allows(cost)]
    if scores is not None:
        return max(within, key=lambda i: (scores[i], -costs[i].madds, -costs[i].params))
    return preferred if preferred in within else max(within, key=lambda i: log_probabilities[i])
