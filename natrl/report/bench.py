"""The benchmark's figures: a table for the terminal, and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from natrl import formats

__all__ = ["BENCH_NOTE", "SURROGATE_NOTE", "bench_summary", "bench_tables", "write_bench"]

GROUP = ["rule", "reward", "dataset"]
#: What the columns mean.
BENCH_NOTE = (
    "mean ± standard deviation over seeds, each with another fifth of the architectures held out; capture: share of "
    "what can be gained that is (1: an oracle, 0: leaving all alone); argmax: of the method's answer; best: of 10 "
    "candidates chosen by the signal; worse: answers that lost more than 0.2 points; queries: different architectures "
    "evaluated. Searches treat each held-out architecture by itself and share the budget equally among them."
)


#: Of every figure whose truth is predicted.
SURROGATE_NOTE = (
    "The truth of nasbench301 is a published surrogate's prediction: no network was trained for these figures. Its "
    "signal errs by the noise given, the report has none; 40 random architectures are held out a seed."
)


def bench_summary(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Means and standard deviations (columns "…_std", NaN with one seed) over seeds.

    One row a rule, reward, data set and method, in the order of the rows; `seeds` counts them.
    """
    frame = pd.DataFrame(list(rows))
    numbers = [c for c in frame.columns if c not in (*GROUP, "method", "seed")]
    values = frame[numbers].apply(pd.to_numeric)
    grouped = values.groupby([frame[c] for c in (*GROUP, "method")], sort=False)
    spread = grouped.std(ddof=1).add_suffix("_std")
    return grouped.mean().join(spread).assign(seeds=grouped.size()).reset_index()


def bench_tables(rows: Iterable[Mapping[str, Any]]) -> Group:
    """A table for each rule, reward and data set, one line a method."""
    rows = list(rows)
    tables = []
    for (rule, reward, dataset), frame in bench_summary(rows).groupby(GROUP, sort=False):
        learned_from = "" if reward == dataset else f", reward {reward}"
        seeds = int(frame["seeds"].max())
        title = f"{dataset}{learned_from}, rule {rule}, {seeds} seed{'s' * (seeds > 1)}"
        tables.append(_table(title, frame))
    notes = [Text(BENCH_NOTE, style="dim")]
    if any("(surrogate)" in str(row["dataset"]) for row in rows):
        notes.insert(0, Text(SURROGATE_NOTE, style="bold"))
    return Group(*tables, *notes)


def _table(title: str, frame: pd.DataFrame) -> Table:
    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )
    table.add_column("method", no_wrap=True)
    for heading in ("queries", "argmax", "best", "worse", "MAdds", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in frame.itertuples():
        table.add_row(
            row.method,
            f"{row.queries:,.0f}",
            _spread(row.capture_argmax, row.capture_argmax_std),
            _spread(row.capture_best, row.capture_best_std),
            f"{row.worse_share:.1%}",
            formats.ratio(row.madds_ratio),
            formats.seconds(row.seconds),
        )
    return table


def _spread(mean: float, std: float) -> str:
    if pd.isna(mean):
        return formats.MISSING
    text = f"{mean:.3f}" + ("" if pd.isna(std) else f" ± {std:.3f}")
    return text.replace("-", formats.MINUS)


def write_bench(directory: Path, rows: list[dict[str, Any]], points: list[dict[str, Any]]) -> None:
    """Writes results.csv and results.parquet (a row a method, data set and seed) and curves.csv."""
    frame = pd.DataFrame(rows)
    frame.to_csv(directory / "results.csv", index=False)
    frame.to_parquet(directory / "results.parquet", index=False)
    pd.DataFrame(points).to_csv(directory / "curves.csv", index=False)
