"""Regressors of scores: each learns from architectures and targets, and says how sure it is. N architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, partial

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.model_selection import cross_val_predict, KFold
from sklearn.tree import DecisionTreeRegressor

from natrl.core.architecture import Architecture
from natrl.evaluation.surrogate.indicators import GROUPS, Indicators
from natrl.evaluation.surrogate.path_features import path_counts
from natrl.evaluation.surrogate.variances import variance_components

__all__ = ["REGRESSORS", "IndicatorRegressor", "Regressor", "TransferredRegressor", "TreeRegressor"]

TREES = 120
FEW = 30  # … for predictions of what was left out
FOLDS = 4
MOST_LEFT_OUT = 1500  # architectures that are predicted without their own score: more would only cost time
TRIED = 64  # features that a split of a tree tries at most, half of them where they are few
SMOOTH = 3
APART = 4  # what trees do not know, in the deviation among them: where none has seen anything they agree
MOST = 400  # rows that variances are estimated from
RANGE = 0.3  # of the misfit's kernel, in the mean distance of two architectures


class Regressor(ABC):
    """Learns targets float64 (N,) of variance about 1 from N ≥ 2 architectures, when it is made."""

    out_of_fold: np.ndarray  # float64 (N,): what is predicted of each without its own target; NaN: not worked out

    @abstractmethod
    def __init__(self, architectures: Sequence[Architecture], targets: np.ndarray, seed: int = 0) -> None: ...

    @abstractmethod
    def predict(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        """float64 (N,) each: means, and standard deviations of what is not known of them, noise left out."""

    def means(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): the first of `predict`, where it is had for less."""
        return self.predict(architectures)[0]


class IndicatorRegressor(Regressor):
    """Bayesian linear regression on `Indicators`: every group of features has a prior variance of its own.

    Variances, and what of the rest is `noise` and what is misfit (a Matérn kernel on the same features), are those of
    the greatest likelihood. Out-of-fold predictions are exact: leave-one-out residuals are r / (1 − h).
    """

    noise: float  # its standard deviation

    def __init__(self, architectures: Sequence[Architecture], targets: np.ndarray, seed: int = 0) -> None:
        self._indicators = Indicators(architectures)
        counts = self._indicators.counts(architectures)
        self._centre, self._mean = counts.mean(0), float(targets.mean())
        rows, rest = counts - self._centre, targets - self._mean
        some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST])
        *priors, misfit, noise = _variances(rows[some], rest[some], self._indicators.group)
        self.noise = float(np.sqrt(noise))
        unexplained = misfit + noise
        precision = rows.T @ rows / unexplained
        precision[np.diag_indices_from(precision)] += 1 / np.array(priors)[self._indicators.group]
        self._root = cholesky(precision, lower=True, check_finite=False)
        self._weights = cho_solve((self._root, True), rows.T @ rest, check_finite=False) / unexplained
        leverage = self._deviations(rows) ** 2 / unexplained + 1 / len(rows)
        residuals = rest - rows @ self._weights
        self.out_of_fold = targets - residuals / (1 - leverage).clip(1e-3)

    def _deviations(self, rows: np.ndarray) -> np.ndarray:
        return np.sqrt((solve_triangular(self._root, rows.T, lower=True, check_finite=False) ** 2).sum(0))

    def predict(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        rows = self._indicators.counts(architectures) - self._centre
        return self._mean + rows @ self._weights, self._deviations(rows)

    def means(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return self._mean + (self._indicators.counts(architectures) - self._centre) @ self._weights


def _variances(rows: np.ndarray, targets: np.ndarray, group: np.ndarray) -> np.ndarray:
    """float64 (G + 2,): prior variances of the groups (at least 1e-9), of the misfit and of noise."""
    grams = []
    for g in range(len(GROUPS)):
        own = rows[:, group == g]
        grams.append(own @ own.T)
    product = sum(grams)
    squares = np.diag(product)
    distances = np.sqrt((squares[:, None] + squares[None, :] - 2 * product).clip(0))
    scaled = distances / max(RANGE * distances.mean(), 1e-9)
    grams += [(1 + scaled) * np.exp(-scaled), np.eye(len(rows))]
    return variance_components(grams, targets).clip(1e-9)


class TransferredRegressor(Regressor):
    """What another task's model predicts, on a straight line, and `IndicatorRegressor` on what that leaves.

    `known`: architectures → float64 (N,), that model's predictions in any unit.
    """

    def __init__(
        self,
        architectures: Sequence[Architecture],
        targets: np.ndarray,
        seed: int = 0,
        *,
        known: Callable[[Sequence[Architecture]], np.ndarray],
    ) -> None:
        self._known = known
        guesses = known(architectures)
        self._line = np.array([0.0, targets.mean()]) if np.ptp(guesses) < 1e-9 else np.polyfit(guesses, targets, 1)
        left = targets - np.polyval(self._line, guesses)
        leverage = 1 / len(targets) + (guesses - guesses.mean()) ** 2 / max(len(targets) * guesses.var(), 1e-9)
        self._scale = max(float(left.std()), 1e-6)
        self._rest = IndicatorRegressor(architectures, left / self._scale, seed)
        lineless = left * leverage / (1 - leverage).clip(1e-3)  # that the line moves by without an architecture
        self.out_of_fold = targets - left - lineless + self._scale * self._rest.out_of_fold

    def predict(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        means, deviations = self._rest.predict(architectures)
        return self._on_line(architectures) + self._scale * means, self._scale * deviations

    def means(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return self._on_line(architectures) + self._scale * self._rest.means(architectures)

    def _on_line(self, architectures: Sequence[Architecture]) -> np.ndarray:
        return np.polyval(self._line, self._known(architectures))


class TreeRegressor(Regressor):
    """Extremely randomised trees on path counts (`natrl.evaluation.surrogate.path_features`).

    `leaf`: how many architectures a leaf holds at least. From 2 on, a score that was learned is no longer given back as
    it is, which noisy ones need.
    """

    def __init__(
        self, architectures: Sequence[Architecture], targets: np.ndarray, seed: int = 0, leaf: int = 1
    ) -> None:
        self._leaf, self._seed = leaf, seed
        self._learned = architectures, targets
        some = np.sort(np.random.default_rng(seed).permutation(len(targets))[:MOST_LEFT_OUT])
        rows = _counts(DictVectorizer(dtype=np.float32, sparse=False), [architectures[i] for i in some], fit=True)
        folds = KFold(FOLDS, shuffle=True, random_state=seed)
        self.out_of_fold = np.full(len(targets), np.nan)
        self.out_of_fold[some] = cross_val_predict(self._trees(FEW, rows.shape[1]), rows, targets[some], cv=folds)

    def _trees(self, n: int, features: int) -> ExtraTreesRegressor:
        share = min(0.5, TRIED / features)
        return ExtraTreesRegressor(n, max_features=share, min_samples_leaf=self._leaf, random_state=self._seed)

    @cached_property
    def _forest(self) -> tuple[DictVectorizer, list[DecisionTreeRegressor]]:
        """Made when asked for: most models leave some regressors out."""
        vectorizer = DictVectorizer(dtype=np.float32, sparse=False)
        architectures, targets = self._learned
        rows = _counts(vectorizer, architectures, fit=True)
        return vectorizer, self._trees(TREES, rows.shape[1]).fit(rows, targets).estimators_

    def predict(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        vectorizer, forest = self._forest
        rows = np.ascontiguousarray(_counts(vectorizer, architectures))
        trees = np.stack([tree.predict(rows, check_input=False) for tree in forest])  # float32, as trees want them
        return trees.mean(0), APART * trees.std(0)


_paths = lru_cache(maxsize=1 << 14)(path_counts)


def _counts(vectorizer: DictVectorizer, architectures: Sequence[Architecture], *, fit: bool = False) -> np.ndarray:
    """float32 (N, paths): logarithms of one more than the counts."""
    paths = [_paths(a) for a in architectures]
    return np.log1p(vectorizer.fit_transform(paths) if fit else vectorizer.transform(paths))


#: What a model of scores is put together from, by name.
REGRESSORS: dict[str, Callable[[Sequence[Architecture], np.ndarray, int], Regressor]] = {
    "linear": IndicatorRegressor,
    "trees": TreeRegressor,
    "smooth_trees": partial(TreeRegressor, leaf=SMOOTH),
}
