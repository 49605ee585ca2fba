"""candidates.json: architectures that a policy proposed, beside random ones, and their validation scores.

A run's candidates of a few original architectures, each method given the same number of evaluations an original: what
the policy adds to chance. Or candidates that were trained, or all that a run paid for, without an original.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from natrl.documents import read_json
from natrl.evaluation.base import Metric
from natrl.files.writing import write_json
from natrl.report.results import read_skeleton
from natrl.spaces import Skeleton

__all__ = [
    "CANDIDATES",
    "COLUMNS",
    "CandidateScores",
    "chance_frame",
    "chosen_frame",
    "read_candidates",
    "write_candidates",
]

FORMAT = "natrl.candidates"
CANDIDATES = "candidates.json"
METHODS = ("original", "policy", "random", "evaluated")
COLUMNS: dict[str, type | tuple[type, ...]] = {
    "name": str,  # of the original; "" for those evaluated in training
    "method": str,  # one of METHODS
    "place": int,  # 0: a method's first choice, made without a score
    "architecture": str,  # canonical key
    "params": int,
    "madds": int,
    "score": (int, float),  # validation accuracy in [0, 1], or minus cross-entropy in nats
}


@dataclass(frozen=True)
class CandidateScores:
    """The candidates of a run, a row each with the columns of COLUMNS."""

    how: str  # where scores come from, such as "table nasbench201"
    metric: Metric
    skeleton: Skeleton | None  # of the networks that are counted; None: they are no stacked cells
    rows: pd.DataFrame
    iteration: int | None = None  # of the policy that proposed them

    @property
    def names(self) -> list[str]:
        """The originals."""
        return list(dict.fromkeys(self.rows.loc[self.rows["method"] == "original", "name"]))

    @property
    def evaluations(self) -> float:
        """Evaluations that each method had for an original, the original's own not counted; the mean over originals."""
        counts = self.rows[self.rows["method"].isin(["policy", "random"])].groupby(["name", "method"]).size()
        return float(counts.mean())


def write_candidates(scores: CandidateScores, path: str | Path) -> Path:
    """Writes candidates.json in one step; returns the path."""
    rows = scores.rows[list(COLUMNS)].to_dict("records")
    document = {"format": FORMAT, "version": 1, "how": scores.how, "metric": scores.metric}
    skeleton = None if scores.skeleton is None else asdict(scores.skeleton)
    document |= {"skeleton": skeleton, "iteration": scores.iteration, "rows": rows}
    return write_json(Path(path), document, allow_nan=False)


def read_candidates(path: str | Path) -> CandidateScores:
    """Reads candidates.json. ValueError in one line: the file, what is malformed and why."""
    document = read_json(path)
    try:
        return _read(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _read(document: Any) -> CandidateScores:
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != 1:
        raise ValueError(f'not candidates: "format" must be "{FORMAT}" and "version" 1')
    if document.get("metric") not in get_args(Metric):
        raise ValueError(f"'metric' must be one of {', '.join(get_args(Metric))}, got {document.get('metric')!r}")
    if not isinstance(document.get("rows"), list) or not document["rows"]:
        raise ValueError("'rows' must be a list of candidates")
    for i, row in enumerate(document["rows"]):
        for column, kind in COLUMNS.items():
            value = row.get(column) if isinstance(row, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ValueError(f"row {i}: {column!r} is missing or of another type, got {value!r:.60}")
        if row["method"] not in METHODS:
            raise ValueError(f"row {i}: unknown method {row['method']!r}; known: {', '.join(METHODS)}")
    iteration = document.get("iteration")
    frame = pd.DataFrame(document["rows"], columns=list(COLUMNS))
    skeleton = None if document.get("skeleton", {}) is None else read_skeleton(document.get("skeleton"))
    return CandidateScores(str(document.get("how", "")), document["metric"], skeleton, frame, iteration)


def chosen_frame(scores: CandidateScores) -> pd.DataFrame:
    """For each original and method ("policy", "random") two rows: `choice` "first" (no score asked) and "best".

    Columns: name, method, choice, architecture, madds_ratio (to the original's) and gain (of the score, over the
    original's). The best one has the highest score, the original itself among them; of equals the cheapest.
    """
    rows = []
    for name in scores.names:
        of_name = scores.rows[scores.rows["name"] == name]
        original = of_name[of_name["method"] == "original"].iloc[0]
        for method in ("policy", "random"):
            proposed = of_name[of_name["method"] == method].sort_values("place")
            if proposed.empty:
                continue
            every = of_name[of_name["method"].isin(["original", method])]
            every = every.sort_values(["score", "madds"], ascending=[False, True])
            for choice, row in (("first", proposed.iloc[0]), ("best", every.iloc[0])):
                ratio, gain = row["madds"] / original["madds"], row["score"] - original["score"]
                rows.append((name, method, choice, row["architecture"], float(ratio), float(gain)))
    return pd.DataFrame(rows, columns=["name", "method", "choice", "architecture", "madds_ratio", "gain"])


def chance_frame(scores: CandidateScores) -> pd.DataFrame:
    """Means over originals: one row a method and choice, and for each choice the row "policy − random".

    Columns: method, choice, n originals, madds_ratio, gain, and error, the standard error of the mean gain (NaN where
    n = 1). The difference is taken original by original. Empty unless both methods are there.
    """
    chosen = chosen_frame(scores)
    rows = []
    for choice in ("first", "best"):
        wide = chosen[chosen["choice"] == choice].pivot_table(index="name", columns="method", sort=False, values="gain")
        if not {"policy", "random"} <= set(wide.columns):
            continue
        wide["policy − random"] = wide["policy"] - wide["random"]
        for method, gains in wide.dropna().items():
            of_method = chosen[(chosen["choice"] == choice) & (chosen["method"] == method)]
            ratio = of_method["madds_ratio"].mean() if len(of_method) else np.nan
            rows.append((method, choice, len(gains), ratio, gains.mean(), gains.sem() if len(gains) > 1 else np.nan))
    return pd.DataFrame(rows, columns=["method", "choice", "n", "madds_ratio", "gain", "error"])
