"""What a policy made of architectures whose trained accuracies are known: figures, a table, a picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from natrl import formats
from natrl.core.architecture import Architecture
from natrl.core.genotypes import to_nasbench201
from natrl.drawing.architectures import settings
from natrl.drawing.palette import VARIANT_LOOKS
from natrl.policies.front import Front
from natrl.report.plots import chart_grid, legend_below
from natrl.report.tables import empty_table

__all__ = ["MethodAnswers", "Findings", "truth_figure", "truth_sentence", "truth_table"]

#: What answers, in the order of reading.
METHODS = {
    "natrl": "natrl, its answer",
    "random": "random, same cost",
    "local-search": "local search on each",
    "best": "the best by all trainings",
}


@dataclass(frozen=True)
class MethodAnswers:
    """What a method made of the architectures, in their order."""

    method: str  # one of METHODS
    budget: float  # share of an architecture's own MAdds that answers may have
    evaluations: int  # trainings that it looked up, in all
    after: tuple[Architecture, ...]
    gains: tuple[float, ...]  # of trained accuracy, in [−1, 1]
    shares: tuple[float, ...]  # of the MAdds

    @property
    def gain(self) -> float:
        """The mean."""
        return float(np.mean(self.gains))

    @property
    def error(self) -> float:
        """Standard error of the mean gain."""
        return float(np.std(self.gains, ddof=1) / np.sqrt(len(self.gains)))

    @property
    def share(self) -> float:
        """Mean share of the MAdds."""
        return float(np.mean(self.shares))

    @property
    def worse(self) -> float:
        """Share of the architectures that lost more than 0.2 points."""
        return float(np.mean(np.array(self.gains) < -0.002))


@dataclass(frozen=True)
class Findings:
    """What came of architectures that no method had started from."""

    held_out: tuple[Architecture, ...]
    accuracies: tuple[float, ...]  # of these, trained, in [0, 1]
    madds: tuple[int, ...]  # of their networks
    answers: tuple[MethodAnswers, ...]
    front: Front  # the trade-off of one of them

    @property
    def budgets(self) -> tuple[float, ...]:
        return tuple(dict.fromkeys(a.budget for a in self.answers))

    def of(self, method: str, budget: float = 1.0) -> MethodAnswers:
        """The answers of a method. StopIteration if there are none."""
        return next(a for a in self.answers if (a.method, a.budget) == (method, budget))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document."""
        answers = [
            asdict(a) | {"after": [to_nasbench201(x) for x in a.after], "gain": a.gain, "error": a.error}
            for a in self.answers
        ]
        held_out = [to_nasbench201(a) for a in self.held_out]
        return {"held_out": held_out, "accuracies": self.accuracies, "answers": answers, "front": self.front.to_dict()}


def truth_sentence(found: Findings) -> str:
    """What it shows, in one sentence."""
    mine, least = found.of("natrl"), min(found.budgets)
    return (
        f"A policy that looked up {mine.evaluations:,} of {found.of('best').evaluations:,} trainings changed "
        f"{len(found.held_out)} architectures that it had never started from, without looking up another one: "
        f"{formats.points(mine.gain, mine.error)} points of trained accuracy at {mine.share:.0%} of the MAdds "
        f"(the best by all trainings: {formats.points(found.of('best').gain)}); within {least:.0%} of them "
        f"{formats.points(found.of('natrl', least).gain)} ({formats.points(found.of('best', least).gain)})."
    )


def truth_table(found: Findings) -> Table:
    """A row for each method and budget."""
    title = f"CIFAR-10 accuracy of {len(found.held_out)} held-out architectures, from trainings that no method saw"
    headings = ("trainings looked up>", "gain (points)>", "made worse>", "MAdds>")
    table = empty_table(title, "within", "answer", *headings)
    for budget in found.budgets:
        table.add_section()
        for answers in (a for method in METHODS for a in found.answers if (a.method, a.budget) == (method, budget)):
            table.add_row(
                f"{budget:.0%}",
                METHODS[answers.method],
                f"{answers.evaluations:,}",
                formats.points(answers.gain, answers.error),
                f"{answers.worse:.0%}",
                f"{answers.share:.2f} ×",
                style="bold" if answers.method == "natrl" else "",
            )
    return table


def truth_figure(found: Findings) -> Figure:
    """An arrow from each architecture to what the policy made of it: accuracy against MAdds, a chart a budget."""
    with settings():
        n = len(found.budgets)
        figure, charts = chart_grid(n, width=5.6 * n, height=4.4, columns=n)
        for axes, budget in zip(charts, found.budgets, strict=True):
            _arrows(axes, found, found.of("natrl", budget))
        charts[0].set_ylabel("trained accuracy (%)")
        legend_below(figure, charts[0])
        low, high = (limit(axes.get_ylim()[end] for axes in charts) for end, limit in enumerate((min, max)))
        for axes in charts:
            axes.set_ylim(low, high)
        return figure


def _arrows(axes: Axes, found: Findings, answers: MethodAnswers) -> None:
    (before, own), (after, marker) = VARIANT_LOOKS["original"], VARIANT_LOOKS["transformed"]
    x, y = np.array(found.madds) / 1e6, 100 * np.array(found.accuracies)
    to_x, to_y = x * np.array(answers.shares), y + 100 * np.array(answers.gains)
    for start, end in zip(zip(x, y, strict=True), zip(to_x, to_y, strict=True), strict=True):
        axes.annotate("", end, start, arrowprops={"arrowstyle": "-", "color": after.color, "alpha": 0.25, "lw": 0.9})
    axes.scatter(x, y, s=22, marker=own, color=before.color, label=before.label, zorder=3)
    axes.scatter(to_x, to_y, s=22, marker=marker, color=after.color, label="what the policy made of it", zorder=4)
    what = f"at most {answers.budget:.0%} of the MAdds" if answers.budget < 1 else "never more expensive"
    gain = f"{formats.points(answers.gain, answers.error)} points at {answers.share:.2f} × MAdds"
    axes.set(xlabel="MAdds of the network (millions)", title=f"{what}\n{gain}")
