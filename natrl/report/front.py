"""A trade-off as a table and a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from natrl import formats
from natrl.drawing.architectures import settings
from natrl.drawing.palette import MUTED, VARIANT_LOOKS
from natrl.policies.front import Front, FrontPoint
from natrl.report.plots import chart_grid, legend_below
from natrl.report.tables import empty_table

__all__ = ["front_figure", "front_table"]

NAMES = {"madds": "MAdds", "params": "parameters"}


def front_table(front: Front) -> Table:
    """One row a budget, the original last; ● marks what nothing else beats."""
    name = NAMES[front.resource]
    points = front.points
    known = any(p.predicted is not None for p in points), any(p.score is not None for p in points)
    headings = ["budget>", f"{name}>", "share>", "changed>"]
    headings += [
        f"{what} ({_unit(front)})>" for what, is_known in zip(("predicted", "score"), known, strict=True) if is_known
    ]
    headings += ["chance>", "front"] if any(p.chance for p in points) else ["front"] if any(known) else []
    table = empty_table(f"what the policy makes of it within each budget of {name}", *headings)
    whole = getattr(front.original.cost, front.resource)
    for point in (*points, front.original):
        if point is front.original:
            table.add_section()
        cost = getattr(point.cost, front.resource)
        label = "original" if point is front.original else f"{point.limit / whole:.0%}"
        row = [label, formats.count(cost), f"{cost / whole:.0%}", str(len(front.original.answer.changes(point.answer)))]
        row += [_value(front, v) for v, is_known in zip((point.predicted, point.score), known, strict=True) if is_known]
        if "chance>" in headings:
            row.append(_band(front, point))
        if "front" in headings:
            row.append("●" if front.on_front(point) else "")
        table.add_row(*row)
    return table


def front_figure(front: Front) -> Figure:
    """Scores, or else predictions, against cost; the band: median and quartiles of chance."""
    points = [p for p in front.points if p.best_known is not None]
    (policy, marker), (original, own_marker) = VARIANT_LOOKS["transformed"], VARIANT_LOOKS["original"]
    random = VARIANT_LOOKS["random"][0].color
    with settings():
        figure, (axes,) = chart_grid(1, width=8.6, height=4.6)
        if chance := [p for p in points if p.chance]:
            values = [[_shown(front, score) for score in p.chance] for p in chance]
            x, (low, middle, high) = [p.limit / 1e6 for p in chance], np.quantile(values, (0.25, 0.5, 0.75), axis=1)
            axes.plot(x, middle, color=random, lw=1.2, label="chance within the budget")
            axes.fill_between(x, low, high, color=random, alpha=0.15, lw=0)
        for is_scored, label in ((True, "the policy's answers"), (False, "the policy's answers, predicted")):
            some = [_place(front, p) for p in points if (p.score is not None) == is_scored]
            if some:
                face = policy.color if is_scored else "none"
                style: dict[str, Any] = {"s": 34, "marker": marker, "edgecolor": policy.color, "facecolor": face}
                axes.scatter(*zip(*some, strict=True), label=label, zorder=3, **style)
        if best := sorted({_place(front, p) for p in points if front.on_front(p)}):
            axes.step(
                *zip(*best, strict=True), where="post", color=MUTED, lw=1.2, ls=":", label="Pareto front", zorder=1
            )
        if front.original.best_known is not None:
            x_y = _place(front, front.original)
            axes.scatter(*x_y, s=44, marker=own_marker, color=original.color, label="original", zorder=4)
        unit = "validation accuracy (%)" if front.metric == "accuracy" else "minus validation cross-entropy (nats)"
        axes.set(xlabel=f"{NAMES[front.resource]} of the network (millions)", ylabel=unit)
        legend_below(figure, axes)
        return figure


def _place(front: Front, point: FrontPoint) -> tuple[float, float]:
    """Where a point with a score, or a prediction, lies."""
    return getattr(point.cost, front.resource) / 1e6, _shown(front, point.best_known or 0.0)


def _shown(front: Front, score: float) -> float:
    return 100 * score if front.metric == "accuracy" else score


def _unit(front: Front) -> str:
    return "%" if front.metric == "accuracy" else "nats"


def _value(front: Front, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.2f}" if front.metric == "accuracy" else f"{value:.4f}"


def _band(front: Front, point: FrontPoint) -> str:
    if not point.chance:
        return ""
    return f"{_value(front, float(np.mean(point.chance)))} ± {_value(front, float(np.std(point.chance)))}"
