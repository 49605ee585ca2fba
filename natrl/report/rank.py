"""What `natrl rank` shows: a table of correlations, and accuracies against the proxy and against MAdds."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from natrl.drawing.architectures import settings
from natrl.drawing.palette import PAPER
from natrl.formats import rank

__all__ = ["rank_figure", "rank_table"]

NAMES = {"kendall": "Kendall τ", "spearman": "Spearman ρ"}


def rank_table(correlations: pd.DataFrame, proxy: str, n: int) -> Table:
    """A line for the proxy and one for MAdds alone: coefficients with 95 % intervals."""
    table = Table(title=f"order of {n} architectures against their trained accuracies", box=box.SIMPLE_HEAD)
    table.add_column("ordered by")
    for name in NAMES.values():
        table.add_column(f"{name} (95 % interval)", justify="right")
    for label, row in (("proxy", proxy), ("madds", "MAdds alone")):
        values = correlations.loc[label]
        table.add_row(row, *(_with_interval(values, name) for name in NAMES))
    return table


def rank_figure(table: pd.DataFrame, correlations: pd.DataFrame, proxy: str) -> Figure:
    """Trained accuracy against the proxy's score, and beside it against MAdds alone, the baseline.

    `table` has the columns proxy, trained (in [0, 1]) and madds, a row an architecture.
    """
    with settings():
        figure = Figure(figsize=(9.6, 4.0), layout="constrained", facecolor=PAPER)
        left, right = figure.subplots(1, 2, sharey=True)
        style: dict[str, Any] = {"s": 26, "edgecolor": PAPER, "linewidth": 0.6}
        left.scatter(table["proxy"], 100 * table["trained"], color="#0072B2", **style)
        right.scatter(table["madds"] / 1e6, 100 * table["trained"], color="#4d4d4d", **style)
        left.set_title(f"{proxy}: {_both(correlations.loc['proxy'])}", parse_math=False)
        left.set_xlabel(f"score of the {proxy}", parse_math=False)
        right.set(title=f"MAdds alone: {_both(correlations.loc['madds'])}", xlabel="MAdds (millions)")
        left.set_ylabel("trained validation accuracy (%)")
        return figure


def _both(values: pd.Series) -> str:
    return ", ".join(f"{name} {rank(values[key])}" for key, name in NAMES.items())


def _with_interval(values: pd.Series, name: str) -> str:
    low, high = rank(values[f"{name}_low"]), rank(values[f"{name}_high"])
    return f"{rank(values[name])} ({low} … {high})"
