"""The benchmark's picture: capture against queries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from natrl.drawing.architectures import settings
from natrl.drawing.palette import PAPER
from natrl.report.plots import with_grid

__all__ = ["bench_figure", "mean_curve"]

GROUP = ["rule", "reward", "dataset"]
COLUMNS = ["method", *GROUP, "seed", "queries", "capture"]
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4d4d4d")
LOWEST = -0.1  # what lies below is named in the legend only
STEPS = 200


def bench_figure(rows: list[dict[str, Any]], points: list[dict[str, Any]]) -> Figure:
    """A chart for each rule, reward and data set: mean over seeds, band ± one standard deviation.

    `rows` and `points` are the benchmark's `Row`s and `Point`s as dicts. Methods without curves (they ask nothing, or
    all) are level lines.
    """
    groups = list(pd.DataFrame(rows).groupby(GROUP, sort=False))
    curves = pd.DataFrame(points, columns=COLUMNS)
    with settings():
        figure = Figure(figsize=(8.6, 4.4 * len(groups)), layout="constrained", facecolor=PAPER)
        charts = figure.subplots(len(groups), 1, squeeze=False)[:, 0]
        for axes, (names, of_group) in zip(charts, groups, strict=True):
            _chart(axes, of_group, curves[(curves[GROUP] == list(names)).all(axis=1)])
            rule, reward, dataset = names
            axes.set(title=f"{dataset}, reward {reward}, rule {rule}", ylabel="capture (argmax)")
        charts[-1].set_xlabel("different architectures evaluated, in all")
        return figure


def _chart(axes: Axes, rows: pd.DataFrame, points: pd.DataFrame) -> None:
    for i, (method, of_method) in enumerate(rows.groupby("method", sort=False)):
        mean = of_method["capture_argmax"].mean()
        look: dict[str, Any] = {
            "color": COLORS[i % len(COLORS)],
            "ls": ("-", "--")[i // len(COLORS) % 2],
            "label": f"{method} ({mean:.3f})".replace("-0", "−0"),
        }
        curve = points[points["method"] == method]
        if curve.empty:
            axes.axhline(mean, lw=1.5, **{**look, "ls": ":"})
            continue
        x, center, spread = mean_curve(curve)
        axes.plot(x, center, lw=1.5, **look)
        axes.plot(x[-1], center[-1], "o", ms=4, color=look["color"])  # the answer
        axes.fill_between(x, center - spread, center + spread, color=look["color"], alpha=0.15, lw=0)
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    for axis_format in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        axis_format(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylim(LOWEST, 1.0)
    with_grid(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def mean_curve(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, and mean and standard deviation over seeds of the capture that each had with so many.

    Linear between the points of a seed; the curve goes from where every seed has one to where the last one ends (a seed
    that ended keeps its answer). The deviation of one seed is 0.
    """
    seeds = [g.sort_values("queries") for _, g in points.groupby("seed")]
    first, last = max(g["queries"].iloc[0] for g in seeds), max(g["queries"].iloc[-1] for g in seeds)
    x = np.unique(np.geomspace(first, last, STEPS))
    values = np.stack([np.interp(x, g["queries"], g["capture"]) for g in seeds])
    return x, values.mean(0), values.std(0, ddof=1) if len(seeds) > 1 else np.zeros(len(x))
