"""natrl sweep"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from natrl.commands.options import Address, invocation, Json, Mlflow, Verbose, Wandb
from natrl.commands.settings_options import Options
from natrl.files.paths import quote
from natrl.tuning.session import ray_session
from natrl.tuning.sweep.extent import Extent

__all__ = ["sweep"]


def sweep(
    file: Annotated[
        str | None,
        typer.Argument(
            help="Search space: a YAML file, or natrl's ppo, reinforce, policy or ablation.", metavar="FILE.yaml"
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Directory of the sweep; must not exist yet.", metavar="DIR")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this sweep instead.", metavar="DIR")] = None,
    given: Annotated[dict[str, Any], Options(Extent, "trials? concurrent")],
    mlflow: Mlflow = None,
    wandb: Wandb = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Search settings: many runs through Ray Tune, the best one's settings as a file.

    Example: natrl sweep ppo --trials 8 -o sweeps/ppo
    """
    if resume is not None:
        if not (out is mlflow is wandb is None):
            raise ValueError("--out, --mlflow and --wandb go with a new sweep; --resume DIR goes on as it was begun")
        with ray_session(address, verbose=verbose, hint=f"go on with natrl sweep --resume {quote(resume)}"):
            from natrl.tuning.sweep import resume_sweep

            _report(resume, resume_sweep(resume, file, **given), as_json)
        return
    if file is None or out is None:
        raise ValueError("give FILE.yaml and -o DIR (a new sweep), or --resume DIR (go on with one)")
    from natrl.runs.directory import check_new_run
    from natrl.tuning.sweep import read_plan, run_sweep

    check_new_run(out)
    plan = read_plan(file, **given)
    with ray_session(address, verbose=verbose, hint=f"go on with natrl sweep --resume {quote(out)}"):
        from natrl.tuning.tracking import trackers

        callbacks = trackers(mlflow=mlflow, wandb=wandb, name=out.name)
        _report(out, run_sweep(plan, out, command=invocation(), callbacks=callbacks), as_json)


def _report(directory: Path, table: Any, as_json: bool) -> None:
    from natrl.tuning.sweep.run import BEST, PICTURE, TABLE

    statuses = table["status"].value_counts()
    if as_json:
        print(json.dumps({"sweep": str(directory), "trials": json.loads(table.to_json(orient="records"))}))
        return
    counts = ", ".join(f"{n} {status}" for status, n in statuses.items())
    Console().print(
        f"{directory}: {counts}; trials in {TABLE}, picture in {PICTURE}\n"
        f"next: natrl train --config {quote(directory / BEST)} --out RUN",
        highlight=False,
        soft_wrap=True,
    )
