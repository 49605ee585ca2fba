"""The evaluator whose scores a model predicts, which costs nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from natrl.core.architecture import Architecture
from natrl.evaluation.base import Evaluator
from natrl.evaluation.surrogate.model import CAUTION, ScoreModel

__all__ = ["PredictedScores"]


class PredictedScores(Evaluator):
    """Chooses among a policy's candidates by what is known of the scores of others."""

    def __init__(self, model: ScoreModel) -> None:
        self.model, self.metric = model, model.metric

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): predictions, less `CAUTION` standard deviations of what the model does not know."""
        return self.model.predict(architectures, CAUTION)
