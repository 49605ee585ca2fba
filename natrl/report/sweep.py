"""The picture of a sweep: each parameter against the score of its trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from natrl.drawing.architectures import settings
from natrl.drawing.palette import MUTED, PAPER
from natrl.report.plots import legend_below, with_grid
from natrl.runs.parameters import Parameter

__all__ = ["sweep_figure"]

COLUMNS = 3
LOOKS: dict[str, dict[str, Any]] = {  # of trials, by status
    "finished": {"color": "#0072B2", "marker": "o", "label": "finished"},
    "stopped": {"color": "#E69F00", "marker": "v", "label": "stopped early"},
}
DECADES = 1000  # logarithmic axes as wide as this have ticks at powers of ten only
JITTER = 0.12  # of a category's width, so that equal choices do not hide each other


def sweep_figure(parameters: Sequence[Parameter], metric: str, table: pd.DataFrame, best: str) -> Figure:
    """A chart for each parameter: its value against the score, a point a trial; the trial `best` is ringed.

    `metric` is what the score is of; `table` is a sweep's `trial_table`. Ranges are axes (logarithmic where the
    distribution is); choices are columns, with a bar at their median over finished trials. Failed trials are left out,
    and counted in the title.
    """
    shown = table[(table["status"] != "failed") & table["score"].notna()]
    failed = int((table["status"] == "failed").sum())
    columns = min(COLUMNS, len(parameters))
    rows = -(-len(parameters) // columns)
    with settings():
        figure = Figure(figsize=(3.4 * columns + 0.6, 2.7 * rows + 0.7), layout="constrained", facecolor=PAPER)
        charts = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axes, parameter in zip(charts, parameters, strict=False):
            _chart(axes, parameter, shown, best)
        for axes in charts[len(parameters) :]:
            axes.remove()
        for axes in charts[::columns]:
            axes.set_ylabel(metric)
        legend_below(figure, charts[0])
        figure.suptitle(f"{len(shown)} trials" + (f", {failed} failed" if failed else ""), fontsize=10)
        return figure


def _chart(axes: Axes, parameter: Parameter, table: pd.DataFrame, best: str) -> None:
    if parameter.is_range:
        x = table[parameter.name].astype(float)
        _range(axes, parameter)
    else:
        x = _columns(axes, parameter, table)
    for status, look in LOOKS.items():
        of_status = table["status"] == status
        if of_status.any():
            axes.scatter(x[of_status], table["score"][of_status], s=24, edgecolor=PAPER, linewidth=0.5, **look)
    ring: dict[str, Any] = {"s": 90, "facecolor": "none", "edgecolor": "#D55E00", "linewidth": 1.4}
    chosen = table["trial"] == best
    axes.scatter(x[chosen], table["score"][chosen], label="best", **ring)
    axes.set_xlabel(parameter.name)
    with_grid(axes)


def _range(axes: Axes, parameter: Parameter) -> None:
    """The axis of a range, from end to end."""
    lower, upper = parameter.extremes()
    if parameter.is_logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(lower / 1.2, upper * 1.2)
        wide = upper / lower > DECADES
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 3.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        return
    margin = 0.05 * (upper - lower)
    axes.set_xlim(lower - margin, upper + margin)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=parameter.is_whole))


def _columns(axes: Axes, parameter: Parameter, table: pd.DataFrame) -> pd.Series:
    """Names the columns of a choice, draws their medians, and returns where each trial stands."""
    names = [str(value) for value in parameter.values]
    place = table[parameter.name].map(str).map(names.index).astype(float)
    finished = table["status"] == "finished"
    for column, scores in table["score"][finished].groupby(place[finished]):
        axes.hlines(scores.median(), column - 0.3, column + 0.3, color=MUTED, lw=2, zorder=0)
    axes.set_xticks(range(len(names)), names, rotation=30 if max(map(len, names)) > 6 else 0)
    axes.set_xlim(-0.6, len(names) - 0.4)
    return place + np.random.default_rng(0).uniform(-JITTER, JITTER, len(table))
