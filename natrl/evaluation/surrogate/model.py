"""The model of scores: regressors that are chosen and mixed by what they predict of architectures left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import nnls
from scipy.stats import spearmanr

from natrl.core.architecture import Architecture
from natrl.evaluation.base import Metric
from natrl.evaluation.surrogate.regressors import IndicatorRegressor, Regressor, REGRESSORS, TransferredRegressor

__all__ = ["BEFORE", "ScoreModel"]

BEFORE = "before"  # the regressor that knows another task's model

PERFECT = 1.02  # accuracies are learned as −ln(1.02 − accuracy), so that differences near the top count
LEAST_ROWS = 8  # below, all that is predicted is the mean
CAUTION = 0.25  # standard deviations of what the model does not know that a choice lowers a prediction by
RELATED = 0.5  # rank correlation of another task's predictions and the scores from which on it is heard in any case,
HEARD = 0.25  # … with this share at least: few scores say little of what lies far from them
LEAST_SHARE = 0.15  # of a regressor in the mixture: one that adds less only costs time
TRUSTED = 0.8  # rank correlation of predictions without the own score from which on a choice is left to them
WORTH = 1.03  # squared error, in that of the mixture, up to which one regressor is enough


class ScoreModel:
    """Learns scores float64 (N,), N ≥ 1, in [0, 1] or ≤ 0 by the metric; N architectures of equally many slots.

    Every regressor (`REGRESSORS`) predicts each architecture without having seen its score; `shares` are the mixture,
    non-negative and of sum 1, whose predictions come nearest to the scores (stacking; Breiman 1996). `trust` is how far
    the mixture can be believed, by the same predictions. `before`: a model of another task's scores, which may say
    something of these (`TransferredRegressor`, "before") and where it orders them has at least a quarter of it.
    """

    shares: dict[str, float]
    trust: dict[str, float]

    def __init__(
        self,
        architectures: Sequence[Architecture],
        scores: np.ndarray,
        metric: Metric = "accuracy",
        seed: int = 0,
        kinds: Sequence[str] = tuple(REGRESSORS),
        before: ScoreModel | None = None,
    ) -> None:
        self.metric = metric
        targets = -np.log(PERFECT - scores) if metric == "accuracy" else np.asarray(scores)
        self._mean, self._scale = float(targets.mean()), float(targets.std())
        self._regressors: dict[str, Regressor] = {}
        self.shares, self.trust = {}, {}
        if len(targets) < LEAST_ROWS or self._scale < 1e-9:
            return
        standard = (targets - self._mean) / self._scale
        fitted = {kind: REGRESSORS[kind](architectures, standard, seed) for kind in kinds}
        if before is not None:
            fitted = {BEFORE: TransferredRegressor(architectures, standard, seed, known=before.likely), **fitted}
        out_of_fold = {kind: r.out_of_fold for kind, r in fitted.items()}
        known = np.isfinite(np.stack([*out_of_fold.values()])).all(0)
        out_of_fold = {kind: guesses[known] for kind, guesses in out_of_fold.items()}
        self.shares = _shares(out_of_fold, standard[known])
        if before is not None and _ranks(before.likely(architectures), standard) >= RELATED:
            self.shares = _with_at_least(HEARD, BEFORE, self.shares)
        self._regressors = {kind: fitted[kind] for kind in self.shares}
        guessed = np.sum([share * out_of_fold[kind] for kind, share in self.shares.items()], axis=0)
        self.trust = self._judge(guessed, standard[known], scores[known])
        if isinstance(linear := fitted.get("linear"), IndicatorRegressor):
            self.trust["noise"] = linear.noise * self._scale * self._slope(self._mean)

    @property
    def is_trusted(self) -> bool:
        """Whether it orders what it has not seen well enough to choose among candidates."""
        return self.trust.get("spearman", 0.0) >= TRUSTED

    def _judge(self, guessed: np.ndarray, standard: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """Of predictions without the own score: rank correlation, R², and root mean square error in scores."""
        left = self._scores(self._mean + self._scale * guessed) - scores
        explained = 1 - float(np.mean((guessed - standard) ** 2))
        return {"spearman": _ranks(guessed, standard), "r2": explained, "error": float(np.sqrt(np.mean(left**2)))}

    def _slope(self, target: float) -> float:
        """Of scores over targets."""
        return float(np.exp(-target)) if self.metric == "accuracy" else 1.0

    def predict(self, architectures: Sequence[Architecture], caution: float = 0.0) -> np.ndarray:
        """float64 (N,): scores, less `caution` standard deviations of what the model does not know of them."""
        if caution:
            means, deviations = self.standard(architectures)
            means -= caution * deviations
        else:
            means = self.likely(architectures)
        return self._scores(self._mean + self._scale * means)

    def likely(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): means, in the standardised units that were learned."""
        means = np.zeros(len(architectures))
        for kind, share in self.shares.items():
            means += share * self._regressors[kind].means(architectures)
        return means

    def standard(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        """float64 (N,) each, in the standardised units that were learned: means and standard deviations."""
        means, variances = np.zeros(len(architectures)), np.zeros(len(architectures))
        for kind, share in self.shares.items():
            mean, deviation = self._regressors[kind].predict(architectures)
            means += share * mean
            variances += share * deviation**2
        return means, np.sqrt(variances)

    def _scores(self, targets: np.ndarray) -> np.ndarray:
        if self.metric == "accuracy":
            return np.clip(PERFECT - np.exp(-targets), 0.0, 1.0)
        return np.minimum(targets, 0.0)


def _ranks(guesses: np.ndarray, targets: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where all guesses are equal."""
    return float(spearmanr(guesses, targets).statistic) if np.ptp(guesses) > 0 else 0.0


def _shares(guesses: Mapping[str, np.ndarray], targets: np.ndarray) -> dict[str, float]:
    """The mixture of the least squared error; the first regressor alone that is as good but for `WORTH`."""

    def error(shares: Mapping[str, float]) -> float:
        guessed = np.sum([share * guesses[kind] for kind, share in shares.items()], axis=0)
        return float(np.mean((guessed - targets) ** 2))

    best = _mixture(guesses, targets)
    alone = ({kind: 1.0} for kind in guesses)
    return next((shares for shares in alone if error(shares) <= WORTH * error(best)), best)


def _with_at_least(least: float, kind: str, shares: Mapping[str, float]) -> dict[str, float]:
    """The mixture with no less of one regressor; the others make room in proportion."""
    own = shares.get(kind, 0.0)
    if own >= least:
        return dict(shares)
    return {other: share * (1 - least) / (1 - own) for other, share in shares.items()} | {kind: least}


def _mixture(guesses: Mapping[str, np.ndarray], targets: np.ndarray) -> dict[str, float]:
    kinds = list(guesses)
    while True:
        weights, _ = nnls(np.stack([guesses[kind] for kind in kinds], axis=1), targets)
        total = weights.sum()
        shares = weights / total if total > 0 else np.full(len(kinds), 1 / len(kinds))
        if shares.min() >= LEAST_SHARE or len(kinds) == 1:
            return dict(zip(kinds, shares.tolist(), strict=True))
        kinds.pop(int(shares.argmin()))
