"""natrl report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(run: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")]) -> None:
    """Write report.html of a run: one file that opens offline.

    Example: natrl report runs/first
    """
    from natrl.report.html import write_report

    print(write_report(run))
