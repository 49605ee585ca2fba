"""A run directory, as the report reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from natrl.core.genotypes import parse
from natrl.documents import open_file, parse_json, read_json
from natrl.evaluation.ledger.file import read_ledger
from natrl.files.paths import absolute
from natrl.report.results import read_results, read_skeleton, Results
from natrl.report.scores import CANDIDATES, CandidateScores, read_candidates
from natrl.runs.metrics import read_progress
from natrl.spaces import network_cost

__all__ = ["Run", "read_run"]

CONFIG, RESULTS, LEDGER = "config.json", "results.json", "evaluations.db"
RANK = "rank"  # where `natrl rank --proxy RUN --out RUN/rank` writes
PROGRESS = ("progress.csv", "tune/trial/result.json")  # the first that exists counts; the second is Tune's


@dataclass(frozen=True)
class Run:
    """What a run left behind; each part but the path may be missing."""

    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)  # config.json
    progress: pd.DataFrame | None = None  # one row an iteration, by "training_iteration"
    results: Results | None = None
    candidates: CandidateScores | None = None  # candidates.json, or what a run that trains from scratch has paid for
    rank: tuple[pd.DataFrame, pd.DataFrame, str] | None = None  # rank.csv, its correlations, the proxy

    @property
    def command(self) -> str:
        """What repeats the run, or ""."""
        return (self.results.command if self.results else "") or str(self.config.get("command") or "")

    @property
    def settings(self) -> dict[str, Any]:
        """What the run was asked to do: config.json without command and versions."""
        settings = {key: value for key, value in self.config.items() if key not in ("command", "versions", "settings")}
        inner = self.config.get("settings", {})
        return settings | (dict(inner) if isinstance(inner, Mapping) else {"settings": inner})

    @property
    def versions(self) -> dict[str, str]:
        """Versions of natrl and what it ran on."""
        known = self.config.get("versions")
        versions = dict(known) if isinstance(known, dict) else {}
        return {
            key: str(value) for key, value in (versions | dict(self.results.versions if self.results else {})).items()
        }


def read_run(run_dir: str | Path) -> Run:
    """Reads config.json, progress.csv (or else Tune's result.json) and results.json, as far as they exist.

    ValueError in one line if the directory does not exist, holds none of them, or one of them is malformed.
    """
    path = absolute(run_dir)
    if not path.is_dir():
        raise ValueError(f"{path} is not a run: {'it is a file' if path.exists() else 'there is no such directory'}")
    files = {name: path / name for name in (CONFIG, *PROGRESS, RESULTS) if os.path.lexists(path / name)}
    if not files:
        raise ValueError(f"{path} is not a run: it holds none of {', '.join((CONFIG, *PROGRESS, RESULTS))}")
    table, tune = (files.get(name) for name in PROGRESS)
    config = read_json(files[CONFIG]) if CONFIG in files else {}
    return Run(
        path,
        config=config,
        progress=_read_table(table) if table else _read_tune(path) if tune else None,
        results=read_results(files[RESULTS]) if RESULTS in files else None,
        candidates=_read_candidates(path),
        rank=_read_rank(path / RANK) if (path / RANK / "rank.json").is_file() else None,
    )


def _read_candidates(run: Path) -> CandidateScores | None:
    """candidates.json; else the trainings in the ledger, each with the cost of its network."""
    if (run / CANDIDATES).is_file():
        return read_candidates(run / CANDIDATES)
    paid = read_ledger(run / LEDGER) if (run / LEDGER).is_file() else pd.DataFrame()
    if paid.empty or not {"kind", "skeleton", "metric"} <= set(paid.columns):
        return None
    if set(paid["kind"]) != {"scratch"} or len(set(paid["skeleton"])) > 1:
        return None
    skeleton = read_skeleton(parse_json(paid["skeleton"].iloc[0], f"{run / LEDGER}: skeleton"))
    costs = [network_cost(parse(key), skeleton) for key in paid["architecture"]]
    rows = paid[["architecture", "score"]].assign(
        name="", method="evaluated", place=0, params=[c.params for c in costs], madds=[c.madds for c in costs]
    )
    return CandidateScores("training from scratch", paid["metric"].iloc[0], skeleton, rows)


def _read_rank(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    document = read_json(folder / "rank.json")
    try:
        open_file(folder / "rank.csv").close()
        table = pd.read_csv(folder / "rank.csv")[["proxy", "trained", "madds"]].astype(float)
        correlations = pd.DataFrame.from_dict(document["correlations"], orient="index").astype(float)
        correlations = correlations.loc[["proxy", "madds"], ["kendall", "spearman"]]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{folder}: not what natrl rank writes: {' '.join(str(error).split())}") from None
    return table, correlations, Path(str(document.get("proxy", "proxy"))).name


def _read_tune(run: Path) -> pd.DataFrame | None:
    rows = read_progress(run)
    return pd.DataFrame(rows) if rows else None


def _read_table(path: Path) -> pd.DataFrame | None:
    """The numeric columns; None where the run has no iteration yet. Of a repeated iteration the last row counts."""
    try:
        frame = pd.read_csv(path)
    except pd.errors.EmptyDataError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not CSV: {' '.join(str(error).split())}") from None
    frame = frame.apply(pd.to_numeric, errors="coerce")
    if "training_iteration" not in frame:
        raise ValueError(f"{path}: has no column training_iteration; it has: {', '.join(map(str, frame.columns))}")
    frame = frame.dropna(subset="training_iteration").drop_duplicates("training_iteration", keep="last")
    return None if frame.empty else frame.sort_values("training_iteration", ignore_index=True)
