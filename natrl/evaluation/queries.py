"""A limit on how many different architectures may be evaluated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import Evaluator
from natrl.evaluation.cache import CachedEvaluator

__all__ = ["BudgetExceeded", "LimitedEvaluator"]


class BudgetExceeded(RuntimeError):
    """More different architectures were asked for than the budget holds; none of that call was evaluated."""


class LimitedEvaluator(CachedEvaluator):
    """A cache that passes on at most `limit` evaluations; what it knows already is free.

    Learners look at `remaining` before each batch and stop in time; a call that goes beyond raises `BudgetExceeded`.
    """

    def __init__(self, inner: Evaluator, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"a budget holds at least 1 evaluation, got {limit}")
        super().__init__(inner)
        self.limit = limit

    @property
    def remaining(self) -> int:
        """How many more architectures may be evaluated."""
        return self.limit - self.evaluations

    def unseen(self, architectures: Sequence[Architecture]) -> int:
        """How many different ones of these would have to be paid for."""
        known = self._scores if self._version == self.inner.version else {}
        return len({a.key for a in architectures} - known.keys())

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). BudgetExceeded if the budget does not cover all that are new."""
        new = self.unseen(architectures)
        if new > self.remaining:
            raise BudgetExceeded(
                f"{new} new architectures asked for, {self.remaining} of {self.limit} evaluations are left"
            )
        return super().evaluate(architectures)
