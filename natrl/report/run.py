"""A run directory, as the report reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from natrl.report.results import read_results, Results
from natrl.tuning.rundir import read_progress

__all__ = ["Run", "read_run"]

CONFIG, RESULTS = "config.json", "results.json"
PROGRESS = ("progress.csv", "tune/trial/result.json")  # the first that exists counts; the second is Tune's


@dataclass(frozen=True)
class Run:
    """What a run left behind; each part but the path may be missing."""

    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)  # config.json
    progress: pd.DataFrame | None = None  # one row an iteration, by "training_iteration"
    results: Results | None = None

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
    path = Path(run_dir)
    if not path.is_dir():
        raise ValueError(f"{path} is not a run: {'it is a file' if path.exists() else 'there is no such directory'}")
    files = {name: path / name for name in (CONFIG, *PROGRESS, RESULTS) if (path / name).is_file()}
    if not files:
        raise ValueError(f"{path} is not a run: it holds none of {', '.join((CONFIG, *PROGRESS, RESULTS))}")
    table, tune = (files.get(name) for name in PROGRESS)
    return Run(
        path,
        config=_read_config(files[CONFIG]) if CONFIG in files else {},
        progress=_read_table(table) if table else _read_tune(path) if tune else None,
        results=read_results(files[RESULTS]) if RESULTS in files else None,
    )


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{path}: expected an object of settings, got {type(config).__name__}")
    return config


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
