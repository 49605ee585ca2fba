"""Candidates as validation score against MAdds, with the Pareto front."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from natrl.drawing.architectures import settings
from natrl.drawing.palette import INK, Look, MUTED, PAPER, VARIANT_LOOKS
from natrl.report.frames import pareto_front
from natrl.report.plots import chart_grid, legend_below
from natrl.report.scores import CandidateScores, chosen_frame

__all__ = ["candidates_figure"]

#: Look and marker of each method, in the order of drawing.
LOOKS: dict[str, tuple[Look, str]] = {
    "evaluated": (Look("evaluated in training", "#0072B2"), "o"),
    "random": (Look("random candidates", VARIANT_LOOKS["random"][0].color), "^"),
    "policy": (Look("the policy's candidates", VARIANT_LOOKS["transformed"][0].color), "D"),
    "original": VARIANT_LOOKS["original"],
}


def candidates_figure(scores: CandidateScores) -> Figure:
    """A point a candidate; dotted: the Pareto front of all.

    Ringed: the best score among an original and what the policy proposed for it. (Another rule may have chosen; the
    demo's is `natrl.tuning.finalists.choose`.)
    """
    accuracy = scores.metric == "accuracy"
    frame = scores.rows.assign(x=scores.rows["madds"] / 1e6, y=scores.rows["score"] * (100 if accuracy else 1))
    with settings():
        figure, (axes,) = chart_grid(1, width=8.6, height=4.6)
        for method, (look, marker) in LOOKS.items():
            rows = frame[frame["method"] == method]
            if len(rows):
                style: dict[str, Any] = {"s": 18, "edgecolor": PAPER, "linewidth": 0.4, "marker": marker}
                alpha = 0.9 if len(rows) < 500 else 0.4
                axes.scatter(rows["x"], rows["y"], color=look.color, label=look.label, alpha=alpha, zorder=2, **style)
        chosen = chosen_frame(scores)
        chosen = chosen[(chosen["method"] == "policy") & (chosen["choice"] == "best")]
        ringed = chosen.merge(frame, on=["name", "architecture"]).drop_duplicates("name")
        if len(ringed):
            style = {"s": 70, "facecolor": "none", "edgecolor": INK, "linewidth": 0.9, "zorder": 3}
            axes.scatter(ringed["x"], ringed["y"], label="best score for an original", **style)
        front = pareto_front(frame.assign(accuracy=frame["y"]))
        axes.step(front["x"], front["y"], where="post", color=MUTED, lw=1.2, ls=":", label="Pareto front", zorder=1)
        unit = "validation accuracy (%)" if accuracy else "minus validation cross-entropy (nats)"
        axes.set(xlabel="MAdds of the network (millions)", ylabel=unit)
        legend_below(figure, axes)
        return figure
