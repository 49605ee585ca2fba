"""How far a proxy can be trusted: its order of architectures beside the order of trained ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, kendalltau, spearmanr

from natrl.architecture import Architecture
from natrl.evaluation.path_features import path_counts
from natrl.evaluation.surrogate import ScoreRegressor
from natrl.isomorphism import function_key
from natrl.spaces import Space

__all__ = ["LEAST", "correlations", "draw_different", "predictions"]

LEAST = 5  # architectures below which no rank correlation says anything
RESAMPLES = 999
PATIENCE = 200  # draws for each architecture wanted before a space counts as used up


def draw_different(space: Space, n: int, rng: np.random.Generator) -> list[Architecture]:
    """n random live architectures, no two of the same function. ValueError if the space seems to have fewer."""
    found: dict[str, Architecture] = {}
    for _ in range(PATIENCE * n):
        architecture = space.sample(rng)
        if architecture.is_live:
            found.setdefault(function_key(architecture), architecture)
        if len(found) == n:
            return list(found.values())
    raise ValueError(f"space {space.name!r} gave only {len(found)} different functions, {n} were asked for")


def predictions(
    learned: Sequence[Architecture], scores: Sequence[float], asked: Sequence[Architecture], seed: int
) -> np.ndarray:
    """float64 (N,): scores of those asked for, predicted by a surrogate that learned others (accuracies in [0, 1])."""
    regressor = ScoreRegressor("accuracy", seed).fit([path_counts(a) for a in learned], np.array(scores))
    return regressor.predict([path_counts(a) for a in asked])[0]


def correlations(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rank correlations of the columns `proxy` and `madds` with `trained`, rows "proxy" and "madds".

    Columns kendall, kendall_low, kendall_high, spearman, spearman_low, spearman_high: the coefficient in [−1, 1] and
    its 95 % interval over resampled architectures (percentile bootstrap). ValueError below 5 rows.
    """
    if len(table) < LEAST:
        raise ValueError(f"a rank correlation needs at least {LEAST} architectures, got {len(table)}")
    rows = {
        name: _interval("kendall", kendalltau, table[name], table["trained"], seed)
        | _interval("spearman", spearmanr, table[name], table["trained"], seed)
        for name in ("proxy", "madds")
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _interval(name: str, statistic: Callable, first: pd.Series, second: pd.Series, seed: int) -> dict[str, float]:
    def coefficient(x: np.ndarray, y: np.ndarray) -> float:
        """0 where a resample holds one value only: it orders nothing."""
        return 0.0 if len(set(x)) == 1 or len(set(y)) == 1 else float(statistic(x, y).statistic)

    x, y = first.to_numpy(), second.to_numpy()
    interval = bootstrap(
        (x, y),
        coefficient,
        paired=True,
        vectorized=False,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return {name: coefficient(x, y), f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}
