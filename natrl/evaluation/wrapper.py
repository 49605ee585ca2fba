"""Evaluators around evaluators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import check_evaluator, Evaluator

__all__ = ["EvaluatorWrapper"]


class EvaluatorWrapper(Evaluator):
    """Passes everything but `evaluate` on to another evaluator; a subclass overrides what it changes."""

    def __init__(self, inner: Evaluator) -> None:
        self.inner = check_evaluator(inner)
        self.metric = inner.metric

    @property
    def version(self) -> int:  # type: ignore[override]  # the wrapped evaluator's
        return self.inner.version

    def settings(self) -> dict[str, Any] | None:
        return self.inner.settings()

    def statistics(self) -> dict[str, float]:
        return self.inner.statistics()

    def train_weights(self, steps: int) -> dict[str, float]:
        return self.inner.train_weights(steps)

    def before_iteration(self) -> None:
        self.inner.before_iteration()

    def proposed(self, architectures: Sequence[Architecture]) -> None:
        self.inner.proposed(architectures)

    def before_update(self) -> None:
        self.inner.before_update()

    def get_weights(self) -> dict[str, np.ndarray]:
        return self.inner.get_weights()

    def set_weights(self, weights: Mapping[str, np.ndarray], version: int) -> None:
        self.inner.set_weights(weights, version)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inner.load_state_dict(state)

    def close(self) -> None:
        self.inner.close()
