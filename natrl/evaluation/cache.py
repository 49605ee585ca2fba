"""Scores remembered as long as the weights behind them stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.transitions import check_choice
from natrl.evaluation.base import as_scores, check_scores, Evaluator, FailedEvaluations
from natrl.evaluation.wrapper import EvaluatorWrapper
from natrl.spaces import Batch

__all__ = ["CachedEvaluator", "OnFailure"]

OnFailure = Literal["raise", "skip"]

BROKEN = 8  # different architectures of one request that failed, and no other, are no coincidence


class CachedEvaluator(EvaluatorWrapper):
    """Wraps an evaluator: each architecture is evaluated once a version, and scores are checked as they arrive.

    `evaluations` counts the architectures that were passed on, `hits` those answered from memory, `failed` those that
    the wrapped evaluator gave up (`FailedEvaluations`). Those are not tried again at the same version; `on_failure`
    says what becomes of a request that holds one: "raise" passes the error on, "skip" gives NaN as its score, and
    raises only where all of a request failed, and they were many: then it is the evaluator that is broken.
    """

    def __init__(self, inner: Evaluator, *, on_failure: OnFailure = "raise") -> None:
        check_choice("on_failure", on_failure, OnFailure)
        super().__init__(inner)
        self.on_failure = on_failure
        self.evaluations = 0
        self.hits = 0
        self.failed = 0
        self._scores: dict[str, float] = {}
        self._failures: dict[str, str] = {}
        self._by_code: dict[tuple, np.ndarray] = {}  # the same for batches that number their architectures
        self._version = inner.version

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
            scores = self._by_number(architectures, codes)
        else:
            scores = self._by_key(architectures)
        failed = np.isnan(scores)
        if failed.any():
            keys = {architectures[i].key for i in np.flatnonzero(failed).tolist()}
            if self.on_failure == "raise" or (len(keys) >= BROKEN and failed.all()):
                raise FailedEvaluations({key: self._failures[key] for key in keys}, scores)
        return scores

    def _by_key(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """Scores float64 (N,), NaN of those that failed."""
        missing = {a.key: a for a in architectures if a.key not in self._scores and a.key not in self._failures}
        self.hits += len(architectures) - len(missing)
        if missing:
            self._pass_on(list(missing.values()))
        return np.array([self._scores.get(a.key, np.nan) for a in architectures], dtype=np.float64)

    def _pass_on(self, asked: list[Architecture]) -> None:
        try:
            scores = as_scores(self.inner.evaluate(asked), len(asked))
        except FailedEvaluations as error:
            scores = error.scores
            self._failures |= error.failures
            self.failed += len(error.failures)
        fine = [(a, score) for a, score in zip(asked, scores.tolist(), strict=True) if a.key not in self._failures]
        check_scores(np.array([score for _, score in fine]), [a for a, _ in fine], self.metric)
        self.evaluations += len(asked)
        self._scores.update((a.key, score) for a, score in fine)

    def statistics(self) -> dict[str, float]:
        """`evaluations`, `cache_hits`, `failed`, and those of the wrapped evaluator."""
        mine = {"evaluations": self.evaluations, "cache_hits": self.hits, "failed": self.failed}
        return {**mine, **self.inner.statistics()}

    def _by_number(self, batch: Batch, codes: np.ndarray) -> np.ndarray:
        """The same by number: neither architectures nor keys are made for what is known."""
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
        memory[codes[first]] = self._by_key([batch[i] for i in first])
        self.hits += len(batch) - len(first)
        return memory[codes]

    def _forget(self) -> None:
        self._scores.clear()
        self._failures.clear()
        self._by_code.clear()

    def state_dict(self) -> dict[str, Any]:
        return {"evaluations": self.evaluations, "scores": dict(self._scores), "inner": self.inner.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state["inner"])
        self.evaluations = state["evaluations"]
        self._forget()
        self._scores, self._version = dict(state["scores"]), self.inner.version
