"""What a report leaves out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from natrl.evaluation.rewards import REWARDS
from natrl.report.run import Run

__all__ = ["left_out"]


def left_out(run: Run, reasons: Mapping[str, str]) -> list[str]:
    """A line for each section that the run has nothing for. `reasons`: why "candidates" are missing."""
    settings = run.settings.get("evaluator")
    evaluator: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
    reward = str(evaluator.get("reward", ""))
    lines = []
    if run.results is None or not run.results.rows:
        lines.append("Trained networks before and after: a training of a policy trains none; natrl evaluate does.")
    if run.config and (run.candidates is None or (run.results is None and not run.candidates.names)):
        why = reasons.get("candidates", "natrl report RUN --compare 20 scores the policy's and as many random ones")
        what = "Candidates, and random ones" if run.candidates is None else "The policy's candidates and random ones"
        lines.append(f"{what} at the same budget: {why}.")
    if run.progress is None:
        lines.append("Learning curves: there is no iteration of a policy's training.")
    if run.rank is None and (run.results is None or run.results.correlation is None) and run.config:
        proxy = "natrl rank --proxy RUN --out RUN/rank measures it"
        why = "rewards are trained accuracies themselves" if _is_trained(reward) else proxy
        lines.append(f"How well the proxy ranks: {why}.")
    return lines


def _is_trained(reward: str) -> bool:
    """Whether scores are those of trained networks, as far as is known where the report is written."""
    try:
        kind = REWARDS.get(reward)
    except ValueError:
        return False
    return kind.trains or kind.free
