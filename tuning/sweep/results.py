"""What a sweep found: a table of its trials, and the best one's settings as a file for `natrl train --config`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any, TYPE_CHECKING

import numpy as np
import pandas as pd

from natrl.documents import yaml_text
from natrl.files.writing import write_atomically
from natrl.runs.metrics import read_iterations
from natrl.tuning.documents import complete

if TYPE_CHECKING:
    from natrl.tuning.sweep.plan import SweepPlan

__all__ = ["SCORE_WINDOW", "best_row", "trial_table", "write_best"]

SCORE_WINDOW = 10  # last iterations that a score is the mean of: one batch is a noisy estimate


def trial_table(plan: SweepPlan, results: Iterable[Any]) -> pd.DataFrame:
    """One row a trial of Tune's results: trial, status, the plan's parameters, score, error, and its last metrics.

    The status is finished, stopped (by the scheduler, or the sweep was interrupted) or failed. The score is the mean of
    the plan's metric over the last `SCORE_WINDOW` iterations, NaN for trials without results.
    """
    return pd.DataFrame([_row(plan, result) for result in results]).sort_values("trial", ignore_index=True)


def _row(plan: SweepPlan, result: Any) -> dict[str, Any]:
    progress = read_iterations(Path(result.path) / "result.json")
    values = [row[plan.metric] for row in progress if plan.metric in row][-SCORE_WINDOW:]
    ended = len(progress) and progress[-1]["training_iteration"] >= complete(result.config).learn.iterations
    return {
        "trial": Path(result.path).name,
        "status": "failed" if result.error else "finished" if ended else "stopped",
        **{p.name: _get(result.config, p.name) if result.config else None for p in plan.parameters},  # failed at once
        "score": float(np.mean(values)) if values else np.nan,
        "error": str(result.error).strip().splitlines()[-1] if result.error else "",
        **(progress[-1] if progress else {}),
    }


def _get(document: Mapping[str, Any], name: str) -> Any:
    return reduce(lambda group, key: group[key], name.split("."), document)


def best_row(plan: SweepPlan, table: pd.DataFrame) -> pd.Series:
    """The trial with the best score among those that did not fail. ValueError if there is none."""
    scores = table[table["status"] != "failed"]["score"].dropna()
    if scores.empty:
        raise ValueError("no trial has a result")
    return table.loc[scores.idxmax() if plan.mode == "max" else scores.idxmin()]


def write_best(plan: SweepPlan, best: pd.Series, config: Mapping[str, Any], path: Path) -> Path:
    """Writes the complete settings of the best trial as YAML; returns the path."""
    heading = (
        f"# The best of the sweep: {best['trial']}, {plan.metric} {best['score']:.6g} "
        f"(mean of its last {SCORE_WINDOW} iterations).\n# natrl train --config {path.name} --out RUN\n"
    )
    document = json.loads(json.dumps(complete(config).to_dict()))  # tuples become lists
    return write_atomically(path, heading + yaml_text(document))
