"""Scores remembered as long as the weights behind them stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from natrl.architecture import Architecture
from natrl.evaluation.base import check_scores, Evaluator
from natrl.spaces import Batch

__all__ = ["CachedEvaluator"]


class CachedEvaluator(Evaluator):
    """Wraps an evaluator: each architecture is evaluated once a version, and scores are checked as they arrive.

    `evaluations` counts the architectures that were passed on, `hits` those answered from memory.
    """

    def __init__(self, inner: Evaluator) -> None:
        self.inner = inner
        self.metric = inner.metric
        self.evaluations = 0
        self.hits = 0
        self._scores: dict[str, float] = {}
        self._by_code: dict[tuple, np.ndarray] = {}  # the same for batches that number their architectures
        self._version = inner.version

    @property
    def version(self) -> int:  # type: ignore[override]  # the wrapped evaluator's
        return self.inner.version

    @property
    def seen(self) -> int:
        """Number of distinct architectures evaluated at the present version."""
        return len(self._scores) if self._version == self.inner.version else 0

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,). ValueError naming the architecture if a score is NaN or out of range."""
        if self._version != self.inner.version:
            self._forget()
            self._version = self.inner.version
        if isinstance(architectures, Batch) and (codes := architectures.codes) is not None:
            return self._evaluate_codes(architectures, codes)
        missing = {a.key: a for a in architectures if a.key not in self._scores}
        self.hits += len(architectures) - len(missing)
        if missing:
            asked = list(missing.values())
            scores = check_scores(self.inner.evaluate(asked), asked, self.metric)
            self.evaluations += len(asked)
            self._scores.update(zip(missing, scores.tolist(), strict=True))
        return np.array([self._scores[a.key] for a in architectures], dtype=np.float64)

    def _evaluate_codes(self, batch: Batch, codes: np.ndarray) -> np.ndarray:
        """`evaluate` by number: neither architectures nor keys are made for what is known."""
        space = batch.space
        which = batch.topologies.cells, space.primitives
        memory = self._by_code.get(which)
        if memory is None:
            memory = self._by_code[which] = np.full(len(space.primitives) ** space.n_slots, np.nan)
        scores = memory[codes]
        missing = np.isnan(scores)
        if not missing.any():
            self.hits += len(batch)
            return scores
        rows = np.flatnonzero(missing)
        first = rows[np.sort(np.unique(codes[rows], return_index=True)[1])]
        memory[codes[first]] = self.evaluate([batch[i] for i in first])
        self.hits += len(batch) - len(first)
        return memory[codes]

    def _forget(self) -> None:
        self._scores.clear()
        self._by_code.clear()

    def train_weights(self, steps: int) -> dict[str, float]:
        return self.inner.train_weights(steps)

    def state_dict(self) -> dict[str, Any]:
        return {"evaluations": self.evaluations, "scores": dict(self._scores), "inner": self.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state["inner"])
        self.evaluations = state["evaluations"]
        self._forget()
        self._scores, self._version = dict(state["scores"]), self.inner.version

    def close(self) -> None:
        self.inner.close()
