"""natrl rank"""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.bench.question import check_proxy, Question
from natrl.commands.options import Address, check_new, invocation, Json, refuse, refuse_unheeded, Seed, Verbose
from natrl.commands.settings_options import as_typed, flag, leaves, Options
from natrl.commands.show import QUICK
from natrl.evaluation.factory import EvaluatorSpec
from natrl.evaluation.rewards import REWARDS
from natrl.files.writing import write_json
from natrl.spaces import space as find_space

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["rank"]


def rank(
    *,
    proxy: Annotated[
        str,
        typer.Option(
            help="What is judged: a reward (supernet, inherited, divergence), surrogate, or a run (its evaluator).",
            metavar="KIND",
        ),
    ] = "supernet",
    truth: Annotated[
        str, typer.Option(help="What it is judged by: scratch, table:NAME|FILE or module:object.", metavar="KIND")
    ] = "scratch",
    given: Annotated[
        dict[str, Any], Options(EvaluatorSpec, "column space data schedule skeleton.channels? skeleton.cells?")
    ],
    asked: Annotated[dict[str, Any], Options(Question, "number steps queries seeds gpus")],
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
    check_proxy(proxy)
    of_truth: dict[str, Any] = {name: given.pop(name) for name in ("column", "schedule") if name in given}
    spec = replace(_network(proxy, truth, given, seed), reward=truth, **of_truth)
    question = Question(proxy, spec, seed=seed, **asked)
    of_truth |= {"data": given.get("data")} if proxy == "surrogate" else {}
    of_truth |= {name: asked.get(name) for name in ("seeds", "gpus")}
    refuse_unheeded(truth, {flag(name): value for name, value in of_truth.items()})
    if proxy == "surrogate" or Path(proxy).is_dir() or not REWARDS.get(proxy).changes:
        refuse({"--steps": asked.get("steps")}, f"the proxy is {proxy}, no supernet that is trained for it")
    if proxy != "surrogate":
        refuse({"--queries": asked.get("queries")}, f"the proxy is {proxy}, no surrogate")
    from natrl.bench.ranking import correlations, judge
    from natrl.tuning.session import ray_session

    with ray_session(address, verbose=verbose) if spec.kind.trains else nullcontext():
        table = judge(question)
    result = correlations(table, seed)
    document = {
        "proxy": proxy,
        "truth": truth,
        "architectures": len(table),
        **({"model": table.attrs["model"]} if table.attrs["model"] else {}),
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
    if table.attrs["model"]:
        Console().print(_said(table.attrs["model"]))


def _said(model: dict[str, Any]) -> str:
    """A line of what the surrogate was made of, and what it knew of itself before it was judged."""
    shares = ", ".join(f"{share:.0%} {name}" for name, share in model["shares"].items()) or "the mean alone"
    trust = ", ".join(f"{name} {model[name]:.4g}" for name in ("spearman", "r2", "error", "noise") if name in model)
    return f"model: {shares}; by its own cross-validation: {trust or 'unknown'}"


def _network(proxy: str, truth: str, given: dict[str, Any], seed: int) -> EvaluatorSpec:
    """The space, data and skeleton: a run's own, else those given. ValueError if a run's are given too."""
    if not Path(proxy).is_dir():
        home, shape = given.get("space", EvaluatorSpec.space), given.get("skeleton", {})
        usual = getattr(find_space(home), "skeleton", None)
        if usual is None:
            refuse({flag(name): value for name, value in shape.items()}, f"space {home} is no cells to be stacked")
        else:
            usual = replace(usual, **(QUICK if _builds(proxy) or _builds(truth) else {}) | shape)
        return EvaluatorSpec(**given | {"skeleton": usual, "seed": seed})
    from natrl.runs.directory import read_config
    from natrl.runs.settings import RunSettings

    own = RunSettings.from_dict(read_config(Path(proxy))["settings"]).evaluator
    if given:
        extra = ", ".join(as_typed(flag(name), value) for name, value in leaves(given))
        raise ValueError(f"{proxy} has a space, data and network of its own: leave out {extra}")
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
