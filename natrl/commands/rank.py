"""natrl rank"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.commands.options import (
    Address,
    Cells,
    Channels,
    check_new,
    invocation,
    Json,
    refuse,
    refuse_unheeded,
    Seed,
    Verbose,
)
from natrl.commands.show import resized
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS
from natrl.files.writing import write_json
from natrl.spaces import space as find_space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["rank"]


def rank(
    proxy: Annotated[
        str,
        typer.Option(
            help="What is judged: a reward (supernet …), surrogate, or a run (its evaluator).", metavar="KIND"
        ),
    ] = "supernet",
    truth: Annotated[
        str,
        typer.Option(help="What it is judged by: scratch, table:NAME|FILE or module:object.", metavar="KIND"),
    ] = "scratch",
    column: Annotated[str | None, typer.Option(help="Column of a table file with accuracies.", metavar="NAME")] = None,
    space: Annotated[
        str | None, typer.Option(help="Space of architectures: darts by default, a run's own.", metavar="NAME")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Data set: digits by default, a run's own.", metavar="NAME")] = None,
    number: Annotated[int, typer.Option("-n", help="Architectures.", metavar="N")] = 30,
    steps: Annotated[int | None, typer.Option(help="Supernet: weight steps.", metavar="N", show_default="2500")] = None,
    queries: Annotated[
        int | None,
        typer.Option(help="Surrogate: other architectures that it learns from.", metavar="N", show_default="100"),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Scratch: training schedule, quick or paper.", metavar="NAME", show_default="quick"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Scratch: trainings of each architecture.", metavar="N", show_default="1")
    ] = None,
    channels: Channels = None,
    cells: Cells = None,
    gpus: Annotated[
        float | None, typer.Option(help="Scratch: GPUs of each training.", metavar="X", show_default="0")
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write rank.csv, rank.json and rank.png here.", metavar="DIR")
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """How far a proxy can be trusted: its order of random architectures against their trained accuracies.

    What is trained has 8 channels and 3 cells by default; a run has its own network.
    Example: natrl rank --proxy surrogate --truth table:nasbench201 --space nasbench201 -n 200 --queries 300
    """
    check_new(out)
    network = {"--space": space, "--data": data, "--channels": channels, "--cells": cells}
    from natrl.bench.ranking import check_proxy, correlations, measure, Question

    check_proxy(proxy)
    spec = replace(_network(proxy, truth, network, seed), reward=truth, column=column, schedule=schedule or "quick")
    numbers = {"seeds": seeds, "num_gpus": gpus, "steps": steps, "queries": queries}
    given = {name: value for name, value in numbers.items() if value is not None}
    question = Question(proxy, spec, number=number, seed=seed, **given)  # type: ignore[arg-type]  # by name
    of_truth = {"--column": column, "--schedule": schedule, "--seeds": seeds, "--gpus": gpus}
    refuse_unheeded(truth, of_truth | ({"--data": data} if proxy == "surrogate" else {}))
    if proxy == "surrogate" or Path(proxy).is_dir() or not REWARDS.get(proxy).changes:
        refuse({"--steps": steps}, f"the proxy is {proxy}, no supernet that is trained for it")
    if proxy != "surrogate":
        refuse({"--queries": queries}, f"the proxy is {proxy}, no surrogate")
    from natrl.tuning.session import ray_session

    with ray_session(address, verbose=verbose) if spec.kind.trains else nullcontext():
        table = measure(question)
    result = correlations(table, seed)
    document = {
        "proxy": proxy,
        "truth": truth,
        "architectures": len(table),
        "correlations": json.loads(result.to_json(orient="index")),
        "command": invocation(),
    }
    if out is not None:
        _write(out, table, result, document)
    if as_json:
        print(json.dumps(document))
        return
    from natrl.report.rank import rank_table

    Console().print(rank_table(result, proxy, len(table)))


def _network(proxy: str, truth: str, given: dict[str, Any], seed: int) -> EvaluatorSpec:
    """The space, data and skeleton: a run's own, else those given. ValueError if a run's are given too."""
    if not Path(proxy).is_dir():
        home = given["--space"] or "darts"
        usual = find_space(home).skeleton
        usual = resized(usual, 8, 3) if _builds(proxy) or _builds(truth) else usual
        skeleton = resized(usual, given["--channels"], given["--cells"])
        return EvaluatorSpec(space=home, data=given["--data"] or "digits", skeleton=skeleton, seed=seed)
    from natrl.runs.directory import read_config
    from natrl.runs.settings import RunSettings

    own = RunSettings.from_dict(read_config(Path(proxy))["settings"]).evaluator
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise ValueError(f"{proxy} has a space, data and network of its own: leave out {', '.join(extra)}")
    return EvaluatorSpec(
        space=own.space, data=own.data, image_size=own.image_size, skeleton=own.skeleton, seed=own.seed
    )


def _builds(kind: str) -> bool:
    """Whether networks are trained for it."""
    return kind != "surrogate" and "data" in REWARDS.get(kind).takes


def _write(out: Path, table: pd.DataFrame, correlations: pd.DataFrame, document: dict[str, Any]) -> None:
    """rank.csv, rank.json and rank.png."""
    from natrl.drawing.architectures import save_figure
    from natrl.report.rank import rank_figure
    from natrl.runs.directory import versions

    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / "rank.csv", index=False)
    save_figure(rank_figure(table, correlations, Path(document["proxy"]).name), out / "rank.png", "png")
    write_json(out / "rank.json", {**document, "versions": versions()})
