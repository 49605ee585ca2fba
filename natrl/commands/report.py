"""natrl report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from natrl.checks.fields import check_number, Range

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="A run directory.", metavar="RUN")],
    compare: Annotated[
        int,
        typer.Option(
            help="Architectures on which the policy is compared with random choices, by the run's evaluator; 0: none.",
            metavar="N",
        ),
    ] = 20,
) -> None:
    """Write report.html of a run, or of what natrl transform made of a network: one file that opens offline.

    The comparison is made once for each state of the policy, and kept in candidates.json.
    Example: natrl report runs/first
    """
    check_number("--compare", compare, Range(0, 10_000))
    from natrl.report.html import write_report
    from natrl.report.network import is_network, write_network_report
    from natrl.report.run import read_run

    if is_network(run):
        print(run / write_network_report(run).name)
        return
    found = read_run(run)
    reasons = {}
    if compare and found.results is None and found.config:
        try:
            _compare(run, compare)
        except ValueError as error:
            reasons["candidates"] = str(error)
    print(run / write_report(run, reasons).name)


def _compare(run: Path, n: int) -> None:
    """Writes candidates.json, unless it is there already."""
    from natrl.report.scores import CANDIDATES, read_candidates, write_candidates
    from natrl.runs.metrics import last_result
    from natrl.tuning.chance import compare_with_random
    from natrl.tuning.progress import progress_bar

    known = read_candidates(run / CANDIDATES) if (run / CANDIDATES).is_file() else None
    if known and (known.iteration, len(known.names)) == (int(last_result(run)["training_iteration"]), n):
        return
    with progress_bar() as bar:
        scores = compare_with_random(run, n=n, progress=bar)
    write_candidates(scores, run / CANDIDATES)
