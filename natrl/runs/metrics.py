"""What a run measures at each iteration, read from the results that Tune writes (docs/metrics.md)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from natrl.documents import open_file, shown
from natrl.runs.directory import results_file

__all__ = ["METRICS", "last_result", "read_iterations", "read_progress"]

METRICS = (
    "training_iteration",
    *("reward_mean", "reward_std"),
    *("accuracy_mean", "accuracy_std", "accuracy_initial_mean", "accuracy_initial_std"),
    *("score_mean", "score_std", "score_initial_mean", "score_initial_std"),
    *("entropy", "policy_loss", "value_loss"),
    *("cost_ratio", "share_null", "share_skip", "changes", "repaired", "invalid_actions"),
    "evaluations",
    *("model_spearman", "model_r2", "model_error", "model_noise"),
    *("model_before", "model_linear", "model_trees", "model_smooth_trees"),
    *("round_predicted", "round_score"),
    *("cache_hits", "ledger_hits"),
    *("failed", "failed_attempts", "actors", "actor_restarts"),
    *("evaluations_per_second", "queue", "weights_version", "weights_loss", "time_total_s"),
)


def read_progress(run: Path) -> list[dict[str, float]]:
    """Our metrics of each iteration, by rising iteration (docs/metrics.md says what each is).

    Of an iteration that was repeated after a kill the last result counts; a line torn by a kill is passed over.
    """
    return read_iterations(results_file(run))


def read_iterations(file: Path) -> list[dict[str, float]]:
    """What `read_progress` reads, from the result.json of any trial. ValueError on what Tune never writes."""
    if not file.exists() and not file.is_symlink():
        return []
    with open_file(file) as opened:
        content = opened.read()  # at once: Tune writes a running trial's anew each time, and a line may end meanwhile
    rows: dict[float, dict[str, float]] = {}
    for number, line in enumerate(content.splitlines(keepends=True), 1):
        try:
            result = json.loads(line)
        except (ValueError, RecursionError):
            if _is_torn(line):
                continue
            raise ValueError(f"{file}, line {number} is damaged: no JSON, got {shown(line)}") from None
        row = _metrics(result)
        if not math.isfinite(row.get("training_iteration", math.nan)):
            raise ValueError(f"{file}, line {number}: expected the metrics of an iteration, got {shown(result)}")
        rows[row["training_iteration"]] = row
    return [rows[iteration] for iteration in sorted(rows)]


def _is_torn(line: bytes) -> bool:
    """Whether a kill can have left it: the beginning of a row, alone or with the row that came next after it."""
    return line.startswith(b'{"') and (not line.endswith(b"\n") or line.count(line[:6]) > 1)


def _metrics(result: Any) -> dict[str, float]:
    """Ours among a result's; NaN is one of Tune's numbers."""
    given = {name: result.get(name) for name in METRICS} if isinstance(result, dict) else {}
    return {name: float(v) for name, v in given.items() if isinstance(v, float) or (isinstance(v, int) and v < 2**63)}


def last_result(run: Path) -> dict[str, float]:
    """Our metrics of the last iteration. ValueError if there was none."""
    rows = read_progress(run)
    if not rows:
        raise ValueError(f"{run} holds no results")
    return rows[-1]
