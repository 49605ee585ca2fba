"""How a policy learned: the part that the pages of runs and of networks share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from natrl import formats
from natrl.report.picture import picture
from natrl.report.plots import COLLAPSE, has_curves, learning_figure

__all__ = ["learning_section"]


def learning_section(progress: pd.DataFrame | None) -> dict[str, Any]:
    """What learning.html shows: how long the policy has learned, its curves, and where it collapsed."""
    if progress is None:
        return {"progress": None, "curves": None, "alarms": []}
    curves = picture(learning_figure(progress), "Learning curves") if has_curves(progress) else None
    return {"progress": _progress_line(progress), "curves": curves, "alarms": _alarms(progress)}


def _progress_line(progress: pd.DataFrame) -> str:
    """How long the run is: "120 iterations, 1,680 evaluations, 3 min 05 s"."""
    last = progress.iloc[-1]
    parts = [f"{last['training_iteration']:.0f} iterations"]
    if pd.notna(last.get("evaluations")):
        parts.append(f"{last['evaluations']:,.0f} evaluations")
    if pd.notna(last.get("model_r2")):
        parts.append(
            "other scores predicted by a model that ranks what it has not seen with a correlation of "
            f"{last['model_spearman']:.2f} (R² {last['model_r2']:.2f})"
        )
    if pd.notna(last.get("time_total_s")):
        parts.append(formats.seconds(last["time_total_s"]))
    return ", ".join(parts)


def _alarms(progress: pd.DataFrame) -> list[str]:
    """A line for null and for skip where the policy has put it into more than half of the slots, at any iteration."""
    lines = []
    for column, operation in (("share_null", "null"), ("share_skip", "skip")):
        shares = progress.set_index("training_iteration").get(column, pd.Series(dtype=float)).dropna()
        if not shares.empty and shares.max() > COLLAPSE:
            lines.append(
                f"Collapse alarm: {operation} took {100 * shares.max():.0f} % of the slots at iteration "
                f"{shares.idxmax():.0f} (more than {100 * COLLAPSE:.0f} %; at the last iteration "
                f"{100 * shares.iloc[-1]:.0f} %)."
            )
    return lines
