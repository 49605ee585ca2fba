"""report.html: one file that shows a run, opens offline, and needs no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from natrl import formats
from natrl.drawing.architectures import architecture_figure, save_figure
from natrl.drawing.frames import change_frame
from natrl.report.files import write_atomically
from natrl.report.frames import comparison_frame
from natrl.report.plots import COLLAPSE, comparison_figure, correlation_figure, has_curves, learning_figure
from natrl.report.results import Results
from natrl.report.run import read_run, Run
from natrl.report.tables import COMPARISON_NOTE, summary_line

__all__ = ["write_report"]


@dataclass(frozen=True)
class _Picture:
    """A figure as the page holds it."""

    source: str  # data URI of an SVG
    text: str  # for readers who cannot see it
    width: int  # natural width in CSS pixels


@dataclass(frozen=True)
class _Portrait:
    """One original, what was made of it, and its picture."""

    name: str
    picture: _Picture
    slots: int
    changes: dict[str, pd.DataFrame]  # change_frame by variant


def write_report(run_dir: str | Path) -> Path:
    """Writes report.html into a run directory and returns its path; what the run has not (yet) is left out.

    ValueError in one line if the directory is no run or one of its files is malformed.
    """
    run = read_run(run_dir)
    environment = Environment(
        loader=PackageLoader("natrl", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html").render(_content(run))
    return write_atomically(run.path / "report.html", page)


def _content(run: Run) -> dict[str, Any]:
    """Everything that the template shows."""
    results, progress = run.results, run.progress
    curves = progress if progress is not None and has_curves(progress) else None
    return {
        "formats": formats,
        "name": run.path.resolve().name,
        "results": results,
        "summary": summary_line(results) if results and results.rows else None,
        "portraits": _portraits(results) if results else [],
        "comparison": _by_name(results) if results and results.rows else [],
        "comparison_note": COMPARISON_NOTE,
        "scatter": _picture(comparison_figure(results), "Accuracy against MAdds") if results and results.rows else None,
        "curves": None if curves is None else _picture(learning_figure(curves), "Learning curves"),
        "progress": None if progress is None else _progress_line(progress),
        "alarm": None if progress is None else _alarm(progress),
        "correlation": _correlation(results),
        "command": run.command,
        "seconds": {part: formats.seconds(value) for part, value in results.seconds.items()} if results else {},
        "config": list(_flat(run.settings)),
        "schedule": list(_flat(results.schedule)) if results else [],
        "versions": run.versions,
    }


def _by_name(results: Results) -> list[list[Any]]:
    """The rows of the comparison, those of a name together."""
    frame = comparison_frame(results)
    return [list(frame[frame["name"] == name].itertuples()) for name in results.names]


def _portraits(results: Results) -> list[_Portrait]:
    """A portrait of each name: before and after where it was transformed, else the architecture alone."""
    portraits = []
    for name in results.names:
        rows = {row.variant: row for row in results.rows if row.name == name}
        original, transformed = rows.get("original"), rows.get("transformed")
        shown = transformed or original or rows["random"]
        before = original.architecture if original and shown is not original else None
        figure = architecture_figure(shown.architecture, before=before, skeleton=results.skeleton)
        text = f"{name} before and after, changed slots numbered" if before else f"Architecture {name}"
        changes: dict[str, pd.DataFrame] = {}
        for variant, row in rows.items():
            if original and row is not original:
                changes[variant] = change_frame(original.architecture, row.architecture, results.skeleton)
        portraits.append(_Portrait(name, _picture(figure, text), len(shown.architecture.operations), changes))
    return portraits


def _picture(figure: Figure, text: str) -> _Picture:
    file = io.BytesIO()
    save_figure(figure, file, "svg")
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return _Picture(f"data:image/svg+xml;base64,{encoded}", text, round(96 * figure.get_size_inches()[0]))


def _correlation(results: Results | None) -> _Picture | None:
    if results is None or results.correlation is None or not results.correlation.pairs:
        return None
    text = f"Trained accuracy of {len(results.correlation.pairs)} architectures against the proxy and against MAdds"
    return _picture(correlation_figure(results.correlation), text)


def _progress_line(progress: pd.DataFrame) -> str:
    """How long the run is: "120 iterations, 1,680 evaluations, 3 min 05 s"."""
    last = progress.iloc[-1]
    parts = [f"{last['training_iteration']:.0f} iterations"]
    if pd.notna(last.get("evaluations")):
        parts.append(f"{last['evaluations']:,.0f} evaluations")
    if pd.notna(last.get("time_total_s")):
        parts.append(formats.seconds(last["time_total_s"]))
    return ", ".join(parts)


def _alarm(progress: pd.DataFrame) -> str | None:
    """A line where the policy has put null into more than half of the slots, at any iteration."""
    if "share_null" not in progress:
        return None
    shares = progress.set_index("training_iteration")["share_null"].dropna()
    if shares.empty or shares.max() <= COLLAPSE:
        return None
    return (
        f"Collapse alarm: null took {100 * shares.max():.0f} % of the slots at iteration {shares.idxmax():.0f} "
        f"(more than {100 * COLLAPSE:.0f} %; at the last iteration {100 * shares.iloc[-1]:.0f} %)."
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value)."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
