"""A model of the scores that a run has paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from natrl.core.genotypes import parse
from natrl.evaluation.ledger.file import read_ledger
from natrl.runs.directory import ledger_file

if TYPE_CHECKING:
    from natrl.evaluation.surrogate.model import ScoreModel
    from natrl.evaluation.surrogate.predicted import PredictedScores

__all__ = ["predicted_scores", "score_model"]

MOST = 10_000  # scores that a model of them learns from: the newest


def score_model(run: Path, slots: int | None = None) -> ScoreModel | None:
    """A model of the scores that the run has paid for; None where it has paid for none, or too few.

    `slots`: only of architectures of so many.
    """
    from natrl.evaluation.surrogate.model import LEAST_ROWS, ScoreModel

    if not ledger_file(run).exists():
        return None
    rows = read_ledger(ledger_file(run)).dropna(subset=["score"])
    rows = rows.drop_duplicates("architecture", keep="last").tail(MOST)  # shared weights are scored anew as they change
    if len(rows) < LEAST_ROWS or "metric" not in rows or rows["metric"].nunique() != 1:
        return None
    known = [(parse(key), score) for key, score in zip(rows["architecture"], rows["score"], strict=True)]
    known = [(a, score) for a, score in known if slots is None or len(a.operations) == slots]
    if len(known) < LEAST_ROWS:
        return None
    architectures, scores = zip(*known, strict=True)
    return ScoreModel(architectures, np.array(scores, dtype=float), rows["metric"].iloc[0])


def predicted_scores(run: Path, slots: int | None = None) -> PredictedScores | None:
    """What chooses among the candidates of a run's policy; None where its scores say too little of others.

    `slots`: as of `score_model`; those of another space say nothing.
    """
    from natrl.evaluation.surrogate.predicted import PredictedScores

    model = score_model(run, slots)
    return PredictedScores(model) if model is not None and model.is_trusted else None
