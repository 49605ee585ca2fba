"""natrl rank"""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TYPE_CHECKING

import numpy as np
import typer
from rich.console import Console

from natrl.commands.options import Address, Cells, Channels, Data, Json, Seed, Verbose
from natrl.commands.show import resized
from natrl.evaluation.factory import EvaluatorSpec, fit_skeleton
from natrl.spaces import network_cost, Skeleton, Space
from natrl.spaces import space as find_space

if TYPE_CHECKING:
    import pandas as pd

    from natrl.architecture import Architecture

__all__ = ["rank"]


@dataclass(frozen=True)
class Question:
    """What is compared with what, on which architectures."""

    proxy: str
    spec: EvaluatorSpec  # of the truth
    seeds: int
    gpus: float
    number: int
    queries: int
    steps: int
    seed: int

    @property
    def space(self) -> Space:
        return find_space(self.spec.space)

    @property
    def skeleton(self) -> Skeleton:
        return self.spec.skeleton or self.space.skeleton


def rank(
    proxy: Annotated[
        str, typer.Option(help="What is judged: supernet, surrogate, or a run (its evaluator).", metavar="KIND")
    ] = "supernet",
    truth: Annotated[
        str, typer.Option(help="What it is judged by: scratch, table:NAME or table:FILE.", metavar="KIND")
    ] = "scratch",
    column: Annotated[str | None, typer.Option(help="Column of a table file with accuracies.", metavar="NAME")] = None,
    space: Annotated[str, typer.Option(help="Space of architectures.", metavar="NAME")] = "darts",
    data: Data = "digits",
    number: Annotated[int, typer.Option("-n", help="Architectures.", metavar="N")] = 30,
    steps: Annotated[int, typer.Option(help="Supernet: weight steps.", metavar="N")] = 2500,
    queries: Annotated[
        int, typer.Option(help="Surrogate: other architectures that it learns from.", metavar="N")
    ] = 100,
    schedule: Annotated[
        str, typer.Option(help="Scratch: training schedule, quick or paper.", metavar="NAME")
    ] = "quick",
    seeds: Annotated[int, typer.Option(help="Scratch: trainings of each architecture.", metavar="N")] = 1,
    channels: Channels = None,
    cells: Cells = None,
    gpus: Annotated[float, typer.Option(help="Scratch: GPUs of each training.", metavar="X")] = 0.0,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write rank.csv, rank.json and rank.png here.", metavar="DIR"),
    ] = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """How far a proxy can be trusted: its order of random architectures against their trained accuracies.

    Example: natrl rank --proxy surrogate --truth table:nasbench201 --space nasbench201 -n 200 --queries 300
    """
    spec = EvaluatorSpec(reward=truth, space=space, column=column, data=data, schedule=schedule, seed=seed)
    spec = replace(spec, skeleton=resized(find_space(space).skeleton, channels, cells))
    question = Question(proxy, spec, seeds, gpus, number, queries, steps, seed)
    check(question, out)
    from natrl.tuning.session import ray_session

    with ray_session(address, verbose=verbose) if truth == "scratch" else nullcontext():
        from natrl.tuning.ranking import correlations

        table = measure(question)
        result = correlations(table, seed)
    document = {
        "proxy": proxy,
        "truth": truth,
        "architectures": len(table),
        "correlations": json.loads(result.to_json(orient="index")),
        "command": " ".join(["natrl", *sys.argv[1:]]),
    }
    if out is not None:
        write(out, table, document)
    if as_json:
        print(json.dumps(document))
        return
    from natrl.report.rank import rank_table

    Console().print(rank_table(result, proxy, len(table)))


def check(question: Question, out: Path | None) -> None:
    """ValueError on what cannot be asked, before anything is computed."""
    from natrl.evaluation.base import check_queries
    from natrl.tuning.ranking import LEAST

    if question.number < LEAST:
        raise ValueError(f"-n must be at least {LEAST} for a rank correlation, got {question.number}")
    if question.spec.reward == "supernet":
        raise ValueError("--truth takes trained accuracies: scratch, table:NAME or table:FILE; got supernet")
    if question.seeds < 1:
        raise ValueError(f"--seeds must be at least 1, got {question.seeds}")
    if question.proxy == "surrogate":
        check_queries(question.queries)
    elif question.proxy == "supernet":
        if question.steps < 1:
            raise ValueError(f"--steps must be at least 1, got {question.steps}")
    elif not Path(question.proxy).is_dir():
        raise ValueError(f"unknown proxy {question.proxy!r}; known: supernet, surrogate, or the directory of a run")
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not empty; choose another --out")


def measure(question: Question) -> pd.DataFrame:
    """A row an architecture: architecture (its key), proxy, trained (accuracy in [0, 1]) and madds."""
    import pandas as pd

    from natrl.tuning.ranking import draw_different, predictions

    extra = question.queries if question.proxy == "surrogate" else 0
    drawn = draw_different(question.space, question.number + extra, np.random.default_rng(question.seed))
    asked, others = drawn[: question.number], drawn[question.number :]
    if question.proxy == "surrogate":
        trained = trained_accuracies(question, drawn)
        scores = predictions(others, trained[question.number :].tolist(), asked, question.seed)
    else:
        scores = proxy_scores(question, asked)
        trained = trained_accuracies(question, asked)
    return pd.DataFrame(
        {
            "architecture": [a.key for a in asked],
            "proxy": scores,
            "trained": trained[: question.number],
            "madds": [network_cost(a, question.skeleton).madds for a in asked],
        }
    )


def proxy_scores(question: Question, architectures: list[Architecture]) -> np.ndarray:
    """Scores float64 (N,) of a supernet that is trained for it, or of a run's evaluator at its last checkpoint."""
    if question.proxy == "supernet":
        supernet = replace(question.spec, reward="supernet", total_steps=question.steps, metric="cross_entropy")()
        supernet.train_weights(question.steps)
        return supernet.evaluate(architectures)
    from natrl.tuning.restore import restored_evaluator

    return restored_evaluator(Path(question.proxy)).evaluate(architectures)


def trained_accuracies(question: Question, architectures: list[Architecture]) -> np.ndarray:
    """Validation accuracies float64 (N,): read from the table, or means over trainings on Ray."""
    if question.spec.reward != "scratch":
        return question.spec().evaluate(architectures)
    from natrl.data import load_data
    from natrl.networks.schedule import schedule as find_schedule
    from natrl.tuning.comparison import train_all
    from natrl.tuning.progress import progress_bar

    images = load_data(question.spec.data, seed=question.seed)
    with progress_bar() as bar:
        task = bar.add_task("training", total=len(architectures) * question.seeds, note="")
        trained = train_all(
            architectures,
            fit_skeleton(question.skeleton, images),
            images,
            find_schedule(question.spec.schedule),
            seeds=range(question.seeds),
            num_gpus=question.gpus,
            on_result=lambda: bar.advance(task),
        )
    return np.array([np.mean([result.validation_accuracy for result in results]) for results in trained])


def write(out: Path, table: pd.DataFrame, document: dict) -> None:
    """rank.csv, rank.json and rank.png."""
    import pandas as pd

    from natrl.drawing.architectures import save_figure
    from natrl.report.rank import rank_figure
    from natrl.tuning.rundir import versions, write_json

    out.mkdir(parents=True, exist_ok=True)
    result = pd.DataFrame.from_dict(document["correlations"], orient="index")
    table.to_csv(out / "rank.csv", index=False)
    save_figure(rank_figure(table, result, Path(document["proxy"]).name), out / "rank.png", "png")
    write_json(out / "rank.json", {**document, "versions": versions()})
