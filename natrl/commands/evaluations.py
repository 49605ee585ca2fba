"""natrl evaluations"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from natrl.commands.options import check_file, Json

__all__ = ["evaluations"]

SHOWN = 20  # rows in the terminal; files hold all


def evaluations(
    run: Annotated[Path, typer.Argument(help="A run or sweep directory.", metavar="RUN")],
    csv: Annotated[Path | None, typer.Option(help="Write all of them to this .csv file.", metavar="FILE")] = None,
    as_json: Json = False,
) -> None:
    """Show the evaluations that a run or sweep has paid for, the best first; a running one's, too.

    Example: natrl evaluations runs/first --csv evaluations.csv
    """
    from natrl.evaluation.ledger.file import read_ledger
    from natrl.runs.directory import check_run_or_sweep, ledger_file

    check_file(csv, "--csv")
    check_run_or_sweep(run)
    frame = read_ledger(ledger_file(run)).sort_values("score", ascending=False, kind="stable")
    if csv is not None:
        frame.to_csv(csv, index=False)
    if as_json:
        print(frame.to_json(orient="records"))
        return
    table = Table("score", "seconds", "paid", "at (UTC)", box=None, expand=True)
    for column in table.columns:
        column.no_wrap = True
    table.add_column("architecture", no_wrap=True, overflow="ellipsis", ratio=1)  # the rest of the line
    for row in frame.head(SHOWN).itertuples():
        table.add_row(
            f"{row.score:.4f}", f"{row.seconds:.3g}", str(row.paid), row.at[:19].replace("T", " "), row.architecture
        )
    console = Console()
    console.print(table)
    total = f"{len(frame)} evaluations, {frame.seconds.sum():,.1f} s"
    kinds = frame.groupby(["kind", "data", "metric"], dropna=False).size() if len(frame) else {}
    console.print(f"{total}: " + ", ".join(f"{n} {' '.join(map(str, names))}" for names, n in kinds.items()))
