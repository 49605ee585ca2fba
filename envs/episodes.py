"""N episodes in lock-step: what the joint environment holds once and the vector environment N times."""

from __future__ import annotations

from typing import Any

import numpy as np

from natrl.envs.core import TransitionCore
from natrl.spaces import Batch

__all__ = ["Episodes"]


class Episodes:
    """N episodes from their start on. E slots, K primitives; every array is replaced, never changed in place."""

    def __init__(self, core: TransitionCore, initial: Batch, rng: np.random.Generator) -> None:
        """`rng`: of what is drawn beside the architectures."""
        nothing = np.zeros(len(initial), dtype=np.int64)
        self._core = core
        self.initial = initial
        self.budgeted = core.budgeted(initial, rng)
        self.initial_scores = core.scores(initial)  # float64 (N,)
        self.initial_costs = initial.costs  # int64 (N, 2): parameters, MAdds
        self.transforms = 0
        self.returns = np.zeros(len(initial))  # float64 (N,): sums of rewards
        self._arrive(initial, self.initial_scores, self.initial_costs, invalid=nothing, repaired=nothing)

    @property
    def ended(self) -> bool:
        """Whether no transform is left: all end together."""
        return self.transforms >= self._core.horizon

    def transform(self, actions: np.ndarray) -> np.ndarray:
        """Applies int (N, E); returns the rewards, float64 (N,)."""
        changed = self._core.apply(self.present, actions, self.masks, self.budgeted)
        return self.settle(changed.batch, changed.invalid, changed.repaired)

    def settle(self, after: Batch, invalid: np.ndarray, repaired: np.ndarray) -> np.ndarray:
        """Ends a transform with these architectures; returns the rewards, float64 (N,)."""
        after = after.space.pruned(after)
        before, scores = self.scores, self._core.scores(after)
        self._core.evaluator.proposed(after)
        self._arrive(after, scores, after.costs, invalid, repaired)
        self.transforms += 1
        rewards = self._core.rewards(before, scores)
        self.returns = self.returns + rewards
        return rewards

    def _arrive(
        self, present: Batch, scores: np.ndarray, costs: np.ndarray, invalid: np.ndarray, repaired: np.ndarray
    ) -> None:
        self.present, self.scores, self.costs = present, scores, costs
        self.invalid, self.repaired = invalid, repaired  # int64 (N,): choices of the last transform
        self.masks = self._core.masks(present, self.budgeted)  # bool (N, E, K)

    def observe(self) -> dict[str, np.ndarray]:
        """The observation arrays, batch first."""
        left = self._core.horizon - self.transforms
        budget = {} if self.budgeted is None else self.budgeted.arrays
        return {**self._core.observe(self.present, left), **budget, "action_mask": self.masks.astype(np.int8)}

    def info(self) -> dict[str, Any]:
        """What the states are: for each name N values, the architectures as batches."""
        limits = {}
        if self.budgeted is not None:
            limits["max_params"], limits["max_madds"] = self.budgeted.limits.T
        return {
            **limits,
            "architecture": self.present,
            "initial_architecture": self.initial,
            "score": self.scores,
            "initial_score": self.initial_scores,
            "params": self.costs[:, 0],
            "madds": self.costs[:, 1],
            "initial_params": self.initial_costs[:, 0],
            "initial_madds": self.initial_costs[:, 1],
            "invalid_actions": self.invalid,
            "repaired": self.repaired,
            "action_mask": self.masks.copy(),
        }
