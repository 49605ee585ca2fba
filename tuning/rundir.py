"""The run directory: settings, Tune's files, policy, report."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from natrl.tuning.settings import RunSettings

__all__ = [
    "create_run",
    "last_result",
    "ledger_file",
    "publish_policy",
    "read_config",
    "read_progress",
    "results_file",
    "tune_dir",
    "versions",
    "write_json",
]

CONFIG = "config.json"
METRICS = (
    "training_iteration",
    "reward_mean",
    "reward_std",
    "accuracy_mean",
    "accuracy_std",
    "accuracy_initial_mean",
    "accuracy_initial_std",
    "score_mean",
    "score_std",
    "score_initial_mean",
    "score_initial_std",
    "entropy",
    "policy_loss",
    "value_loss",
    "cost_ratio",
    "share_null",
    "share_skip",
    "changes",
    "repaired",
    "invalid_actions",
    "evaluations",
    "cache_hits",
    "ledger_hits",
    "failed",
    "failed_attempts",
    "actors",
    "actor_restarts",
    "evaluations_per_second",
    "queue",
    "weights_version",
    "weights_loss",
    "time_total_s",
)


def tune_dir(run: Path) -> Path:
    """Where Tune keeps its experiment: checkpoints, logs, results."""
    return run / "tune"


def results_file(run: Path) -> Path:
    """Tune's results, one JSON object a line and iteration.

    (Tune's progress.csv beside it breaks on resume: the columns of the rows after it differ from its header.)
    """
    return tune_dir(run) / "trial" / "result.json"


def ledger_file(run: Path) -> Path:
    """Every evaluation that was paid for (natrl.evaluation.ledger); none is written where rewards are a supernet's."""
    return run / "evaluations.db"


def create_run(run: Path, settings: RunSettings, command: str) -> Path:
    """Makes the directory and writes config.json. ValueError if there is something in it already."""
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise ValueError(f"{run} exists and is not empty; choose another --out, or continue it with --resume {run}")
    run.mkdir(parents=True, exist_ok=True)
    document = {"settings": settings.to_dict(), "command": command, "versions": versions()}
    write_json(run / CONFIG, document)
    return run


def read_config(run: Path) -> dict[str, Any]:
    """config.json of a run. ValueError if the directory is not a run."""
    try:
        return json.loads((run / CONFIG).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{run} is not a run directory: {CONFIG} cannot be read ({type(error).__name__})") from None


def read_progress(run: Path) -> list[dict[str, float]]:
    """Our metrics of each iteration, by rising iteration (docs/algorithms.md says what each is).

    Of an iteration that was repeated after a kill the last result counts; a line torn by a kill is passed over.
    """
    try:
        lines = results_file(run).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    rows: dict[float, dict[str, float]] = {}
    for line in lines:
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            continue
        row = {name: float(result[name]) for name in METRICS if isinstance(result.get(name), int | float)}
        rows[row["training_iteration"]] = row
    return [rows[iteration] for iteration in sorted(rows)]


def last_result(run: Path) -> dict[str, float]:
    """Our metrics of the last iteration. ValueError if there was none."""
    rows = read_progress(run)
    if not rows:
        raise ValueError(f"{run} holds no results")
    return rows[-1]


def publish_policy(run: Path, checkpoint: Path) -> Path:
    """Copies the policy of a checkpoint to policy/ of the run."""
    target, fresh = run / "policy", run / ".policy"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(checkpoint / "policy", fresh)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(fresh, target)
    return target


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON file whole or not at all."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    os.replace(fresh, path)


def versions() -> dict[str, str]:
    """Versions of what results depend on, and the git revision of a checkout."""
    found = {"python": platform.python_version()}
    for package in ("natrl", "ray", "torch", "gymnasium"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    try:
        root = Path(__file__).resolve().parent
        git = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        found["git"] = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found["git"] = "unknown"
    return found
