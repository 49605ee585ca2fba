"""How far a proxy can be trusted: its order of architectures beside the order of trained ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import bootstrap, kendalltau, spearmanr

from natrl.bench.question import Question
from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.evaluation.base import Metric
from natrl.evaluation.rewards import REWARDS
from natrl.evaluation.scratch import ScratchEvaluator
from natrl.evaluation.surrogate.model import ScoreModel
from natrl.spaces import Space
from natrl.spaces import space as find_space
from natrl.tuning.comparison import train_all
from natrl.tuning.progress import progress_bar
from natrl.tuning.restore import restored_evaluator

__all__ = ["correlations", "draw_different", "judge"]

RESAMPLES = 999
PATIENCE = 200  # draws for each architecture wanted before a space counts as used up


def judge(question: Question) -> pd.DataFrame:
    """A row an architecture: architecture (its key), proxy, trained (validation accuracy in [0, 1]) and madds.

    `attrs["model"]`: of a surrogate the shares of its regressors, and what it says of itself (`ScoreModel.trust`).
    Ray must run where the truth is scratch.
    """
    space = find_space(question.truth.space)
    learned = question.queries if question.proxy == "surrogate" else 0
    drawn = draw_different(space, question.number + learned, np.random.default_rng(question.seed))
    asked, others = drawn[: question.number], drawn[question.number :]
    truth = question.truth()  # what cannot work says so before anything is trained
    space = space if question.truth.skeleton is None else space.on(question.truth.skeleton)
    if isinstance(truth, ScratchEvaluator):  # the longer work comes last
        space = space.fitted(truth.data)
        proxy = None if learned else _proxy_scores(question, asked)
        trained = _train(question, truth, drawn)
    else:
        trained = truth.evaluate(drawn)
        proxy = None if learned else _proxy_scores(question, asked)
    described: dict[str, Any] = {}
    if proxy is None:
        model = ScoreModel(others, trained[question.number :], seed=question.seed)
        proxy, described = model.predict(asked), {"shares": model.shares, **model.trust}
    table = pd.DataFrame(
        {
            "architecture": [a.key for a in asked],
            "proxy": proxy,
            "trained": trained[: question.number],
            "madds": [space.cost(a).madds for a in asked],
        }
    )
    table.attrs["model"] = described
    return table


def draw_different(space: Space, n: int, rng: np.random.Generator) -> list[Architecture]:
    """n random live architectures, no two of the same function. ValueError if the space seems to have fewer."""
    found: dict[str, Architecture] = {}
    for _ in range(PATIENCE * n):
        architecture = space.sample(rng)
        found.setdefault(function_key(architecture), architecture)
        if len(found) == n:
            return list(found.values())
    raise ValueError(f"space {space.name!r} gave only {len(found)} different functions, {n} were asked for")


def _proxy_scores(question: Question, architectures: Sequence[Architecture]) -> np.ndarray:
    """float64 (N,): of a supernet that is trained for it, or of a run's evaluator at its last checkpoint."""
    if Path(question.proxy).is_dir():
        return restored_evaluator(Path(question.proxy)).evaluate(architectures)
    kind = REWARDS.get(question.proxy)
    metric: Metric = "cross_entropy" if "metric" in kind.takes else "accuracy"
    given = {"reward": question.proxy, "metric": metric, "schedule": "quick", "column": None}
    proxy = replace(question.truth, **given, total_steps=question.steps)()  # type: ignore[arg-type]  # by name
    if kind.changes:
        proxy.train_weights(question.steps)
    return proxy.evaluate(architectures)


def _train(question: Question, truth: ScratchEvaluator, architectures: Sequence[Architecture]) -> np.ndarray:
    """float64 (N,) in [0, 1], on validation data: means over trainings on Ray."""
    with progress_bar() as bar:
        task = bar.add_task("training", total=len(architectures) * question.seeds, note="")
        trained = train_all(
            architectures,
            truth.networks,
            truth.data,
            truth.schedule,
            seeds=range(question.seeds),
            num_gpus=question.gpus,
            on_result=lambda: bar.advance(task),
        )
    return np.array([np.mean([result.validation_accuracy for result in results]) for results in trained])


def correlations(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rank correlations of the columns `proxy` and `madds` with `trained`, rows "proxy" and "madds".

    Columns kendall, kendall_low, kendall_high, spearman, spearman_low, spearman_high: the coefficient in [−1, 1], 0
    where one side is all equal, and its 95 % interval over resampled architectures (percentile bootstrap).
    """
    rows = {
        name: _interval("kendall", kendalltau, table[name], table["trained"], seed)
        | _interval("spearman", spearmanr, table[name], table["trained"], seed)
        for name in ("proxy", "madds")
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _interval(name: str, statistic: Callable, first: pd.Series, second: pd.Series, seed: int) -> dict[str, float]:
    def coefficient(x: np.ndarray, y: np.ndarray) -> float:
        """0 where one value fills a side: it orders nothing."""
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
