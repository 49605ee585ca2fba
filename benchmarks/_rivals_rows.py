"""Results as they come: one JSON row a line in a file, and the table of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _rivals_measuring import BATCHES, RUNTIMES
from _rows import row
from rich.table import Table

__all__ = ["Rows", "table"]

Row = dict[str, Any]


class Rows:
    """Of one file; what it holds is not measured again. `job`: what all rows of this call have in common."""

    def __init__(self, file: Path, job: Mapping[str, Any]) -> None:
        self._file, self._job = file, dict(job)
        lines = file.read_text().splitlines() if file.exists() else []
        self._rows: list[Row] = [json.loads(line) for line in lines if line]

    def __iter__(self) -> Iterator[Row]:
        """Those of this job."""
        return iter(self.where())

    def where(self, **wanted: Any) -> list[Row]:
        """Those of this job with these values."""
        wanted |= self._job
        return [r for r in self._rows if all(r.get(name) == value for name, value in wanted.items())]

    def add(self, **values: Any) -> Row:
        """Written at once, and printed."""
        new = row("rivals", **self._job, **values)
        with self._file.open("a") as stream:
            stream.write(json.dumps(new) + "\n")
        print(json.dumps(new), flush=True)
        self._rows.append(json.loads(json.dumps(new)))
        return new


def table(rows: Rows, methods: list[str], title: str) -> Table:
    """Means over seeds, ± the sample standard deviation."""
    compared = pd.DataFrame([r for r in rows if not r["choosing"] and "failed" not in r])
    times = [f"{runtime}_{batch}" for runtime in RUNTIMES for batch in BATCHES]
    shown = Table("budget", "method", title=title)
    for heading in ("seeds", "MAdds %", "parameters %", "validation %", "test %", *(f"{t} %" for t in times)):
        shown.add_column(heading.replace("_", " "), justify="right")
    shown.add_column("CPU s of search", justify="right")
    shown.add_column("of training", justify="right")
    for budget, of_budget in compared.groupby("budget", sort=False):
        for method in (m for m in methods if (of_budget["method"] == m).any()):
            of = of_budget[of_budget["method"] == method]
            figures = [_percent(of, name, 0) for name in ("madds", "parameters")]
            figures += [_percent(of, name, 2) for name in ("validation", "test")]
            figures += [_percent(of, name, 0) for name in times]
            seconds = [f"{of[name].mean():.0f}" for name in ("search_seconds", "training_seconds")]
            shown.add_row(budget, method, str(len(of)), *figures, *seconds)
        shown.add_section()
    return shown


def _percent(rows: pd.DataFrame, column: str, digits: int) -> str:
    values = 100 * rows[column].to_numpy(dtype=float) if column in rows else np.array([])
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
