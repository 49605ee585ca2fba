"""Charts of a run: accuracy against cost, learning curves, how well the proxy ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from natrl import formats
from natrl.drawing.architectures import settings
from natrl.drawing.palette import INK, MUTED, PAPER, VARIANT_LOOKS
from natrl.report.frames import comparison_frame, pareto_front
from natrl.report.results import Correlation, Results

__all__ = [
    "COLLAPSE",
    "CURVES",
    "chart_grid",
    "comparison_figure",
    "correlation_figure",
    "has_curves",
    "learning_figure",
    "legend_below",
    "with_grid",
]

#: Learning curves by heading: the columns of progress.csv in one chart, each with its words, colour and line.
CURVES: dict[str, dict[str, tuple[str, str, str]]] = {
    "reward": {"reward_mean": ("mean reward", "#0072B2", "-")},
    "entropy (nats)": {"entropy": ("policy entropy", "#0072B2", "-")},
    "validation accuracy (evaluator)": {
        "accuracy_mean": ("transformed", "#0072B2", "-"),
        "accuracy_initial_mean": ("initial", "#4d4d4d", "--"),
    },
    "validation score (evaluator)": {  # in place of accuracies, where the evaluator's metric is another
        "score_mean": ("transformed", "#0072B2", "-"),
        "score_initial_mean": ("initial", "#4d4d4d", "--"),
    },
    "MAdds after / before": {"cost_ratio": ("cost ratio", "#0072B2", "-")},
    "share of slots": {"share_null": ("null", "#D55E00", "-"), "share_skip": ("skip", "#4d4d4d", "--")},
}
#: Where a name may stand beside its point, best first: offset in points, alignment.
PLACES = [(8, 0, "left"), (-8, 0, "right"), (0, 12, "center"), (0, -12, "center"), (8, 12, "left"), (-8, 12, "right")]
PLACES += [(8, -12, "left"), (-8, -12, "right"), (0, 24, "center"), (0, -24, "center")]
COLLAPSE = 0.5  # share of null above which the report raises its alarm


def comparison_figure(results: Results) -> Figure:
    """Accuracy against MAdds: mean ± standard deviation over seeds, variants of a name joined, and the Pareto front."""
    frame = comparison_frame(results)
    frame = frame.assign(x=frame["madds"] / 1e6, y=100 * frame["accuracy"], bar=100 * frame["spread"].fillna(0.0))
    with settings():
        figure, (axes,) = chart_grid(1, width=8.6, height=4.8)
        for name in results.names:
            of_name = frame[frame["name"] == name].set_index("variant")
            for variant in of_name.index.intersection(["transformed", "random"]):
                if "original" in of_name.index:
                    ends = of_name.loc[["original", variant]]
                    axes.plot(ends["x"], ends["y"], color=VARIANT_LOOKS[variant][0].color, lw=0.9, alpha=0.6, zorder=1)
        for variant, (look, marker) in VARIANT_LOOKS.items():
            rows = frame[frame["variant"] == variant]
            if len(rows):
                style: dict[str, Any] = {
                    "fmt": marker,
                    "ms": 6,
                    "mec": PAPER,
                    "mew": 0.7,
                    "elinewidth": 0.9,
                    "capsize": 2.5,
                }
                axes.errorbar(rows["x"], rows["y"], rows["bar"], color=look.color, label=look.label, zorder=3, **style)
        front = pareto_front(frame)
        axes.step(front["x"], front["y"], where="post", color=MUTED, lw=1.0, ls=":", label="Pareto front", zorder=0)
        axes.set(xlabel="MAdds of the network (millions)", ylabel=f"{results.metric} accuracy (%)")
        legend_below(figure, axes)
        firsts = frame.drop_duplicates("name")
        _name_points(figure, axes, firsts["x"], firsts["y"], list(firsts["name"]), frame[["x", "y"]].to_numpy())
        return figure


def has_curves(progress: pd.DataFrame) -> bool:
    """True where there is something to draw for `learning_figure`."""
    return any(_drawn(progress, columns) for columns in CURVES.values())


def learning_figure(progress: pd.DataFrame) -> Figure:
    """The curves of `CURVES` that the run has, by iteration.

    Faint: every iteration; line: mean of the w iterations around (w = a twentieth of the run). Band: ± one standard
    deviation over the episodes of an iteration where the run has it ("reward_std" for "reward_mean", …), else over the
    iterations around.
    """
    headings = [heading for heading, columns in CURVES.items() if _drawn(progress, columns)]
    window = max(1, len(progress) // 20)
    with settings():
        figure, charts = chart_grid(len(headings), width=9.6, height=2.3 * -(-len(headings) // 3), columns=3)
        for heading, axes in zip(headings, charts, strict=True):
            for column in _drawn(progress, CURVES[heading]):
                label, color, line = CURVES[heading][column]
                series = progress.set_index("training_iteration")[column].dropna()
                rolling = series.rolling(window, center=True, min_periods=1)
                mean, spread = rolling.mean(), _spread(progress, column, window)
                axes.plot(series, color=color, lw=0.6, alpha=0.35)
                axes.plot(mean, color=color, ls=line, lw=1.5, label=label)
                axes.fill_between(mean.index, mean - spread, mean + spread, color=color, alpha=0.15, lw=0)
            if "share_null" in CURVES[heading]:
                axes.axhline(COLLAPSE, color="#D55E00", lw=0.8, ls=":")
                axes.set_ylim(bottom=0)
            axes.set(title=heading, xlabel="iteration")
            if len(_drawn(progress, CURVES[heading])) > 1:
                axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, frameon=False, fontsize=8)
        return figure


def correlation_figure(correlation: Correlation) -> Figure:
    """Trained accuracy against the proxy's score, and beside it against MAdds alone, the baseline."""
    proxy, trained, madds = np.array(correlation.pairs, dtype=float).reshape(-1, 3).T
    with settings():
        figure, (left, right) = chart_grid(2, width=9.6, height=3.6, columns=2)
        style: dict[str, Any] = {"s": 26, "edgecolor": PAPER, "linewidth": 0.6}
        left.scatter(proxy, 100 * trained, color="#0072B2", **style)
        right.scatter(madds / 1e6, 100 * trained, color="#4d4d4d", **style)
        ranks = f"Spearman {formats.rank(correlation.spearman)}, Kendall {formats.rank(correlation.kendall)}"
        left.set(title=f"proxy: {ranks}", xlabel="score of the proxy", ylabel="trained validation accuracy (%)")
        right.set(title=f"MAdds alone: Spearman {formats.rank(correlation.spearman_madds)}", xlabel="MAdds (millions)")
        return figure


def _spread(progress: pd.DataFrame, column: str, window: int) -> pd.Series:
    """Standard deviations by iteration, where the column has figures; 0 where there is no other to compare."""
    by_iteration = progress.set_index("training_iteration")
    own = column.replace("_mean", "_std")
    if own != column and own in by_iteration and by_iteration[own].notna().any():
        return by_iteration[own][by_iteration[column].notna()].rolling(window, center=True, min_periods=1).mean()
    return by_iteration[column].dropna().rolling(window, center=True, min_periods=1).std().fillna(0.0)


def _drawn(progress: pd.DataFrame, columns: dict[str, tuple[str, str, str]]) -> list[str]:
    """The columns that the run has figures in."""
    return [column for column in columns if column in progress and progress[column].notna().any()]


def chart_grid(n: int, *, width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A white figure (inches) with n charts, `columns` in a row."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    rows = -(-n // columns)
    charts = [figure.add_subplot(rows, columns, i + 1) for i in range(n)]
    for axes in charts:
        axes.set_facecolor(PAPER)
        with_grid(axes)
    return figure, charts


def with_grid(axes: Axes) -> None:
    """A chart's light grid behind what is drawn, and no frame above and at the right."""
    axes.grid(color="#e4e4e4", lw=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure, axes: Axes) -> None:
    """A legend of the chart below the figure, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 4), frameon=False, fontsize=8)


def _name_points(figure: Figure, axes: Axes, x: pd.Series, y: pd.Series, names: list[str], points: np.ndarray) -> None:
    """Writes names beside points, each at the first place around it where it hides neither a point nor a name."""
    figure.draw_without_rendering()  # places the axes, so that pixels are known
    obstacles = [Bbox.from_bounds(px - 5, py - 5, 10, 10) for px, py in axes.transData.transform(points)]
    frame = axes.get_window_extent()
    for px, py, name in zip(x, y, names, strict=True):
        style: dict[str, Any] = {"fontsize": 8, "color": INK, "va": "center", "parse_math": False, "zorder": 4}
        text = axes.annotate(name, (px, py), xytext=(0, 0), textcoords="offset points", **style)
        text.set_in_layout(False)
        boxes = []
        for dx, dy, side in PLACES:
            text.set(position=(dx, dy), ha=side)
            boxes.append(text.get_window_extent())
        hidden = [sum(box.overlaps(obstacle) for obstacle in obstacles) + _outside(box, frame) for box in boxes]
        best = int(np.argmin(hidden))
        dx, dy, side = PLACES[best]
        text.set(position=(dx, dy), ha=side)
        obstacles.append(boxes[best])


def _outside(box: Bbox, frame: Bbox) -> bool:
    return not (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1)
