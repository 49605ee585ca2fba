"""natrl train"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, TYPE_CHECKING

import typer
from rich.console import Console

from natrl.commands.options import (
    Address,
    Cells,
    Channels,
    invocation,
    Json,
    Mlflow,
    refuse,
    refuse_unheeded,
    Verbose,
    Wandb,
)
from natrl.files.paths import quote
from natrl.tuning.session import ray_session

if TYPE_CHECKING:
    from natrl.runs.settings import RunSettings

__all__ = ["train"]


def train(
    config: Annotated[
        Path | None,
        typer.Option(help="Settings from a YAML or JSON file, or a run's config.json; options win.", metavar="FILE"),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(help="Space: a name or module:object.", metavar="NAME", show_default="darts"),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(
            help="Evaluator: supernet, scratch, table:NAME|FILE or module:object.",
            metavar="KIND",
            show_default="supernet",
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of a table file with validation accuracies.", metavar="NAME")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Data set: digits, a torchvision name, folder:PATH or module:callable.",
            metavar="NAME",
            show_default="digits",
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is rewarded: accuracy or cross_entropy.", metavar="NAME")
    ] = None,
    algorithm: Annotated[str | None, typer.Option(help="ppo or reinforce.", metavar="NAME", show_default="ppo")] = None,
    head: Annotated[
        str | None,
        typer.Option(
            help="Policy head: joint, autoregressive, lstm, module:object.",
            metavar="NAME",
            show_default="autoregressive",
        ),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(help="Transitions: nat or nat++.", metavar="NAME", show_default="nat++")
    ] = None,
    cost: Annotated[
        str | None, typer.Option(help="Mask: strict, rule or live.", metavar="NAME", show_default="strict")
    ] = None,
    initial: Annotated[
        str | None, typer.Option(help="Initial architectures: uniform, pool:N or pool:N:SEED.", metavar="KIND")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Policy updates.", metavar="N")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Episodes an iteration.", metavar="N")] = None,
    group_size: Annotated[
        int | None, typer.Option(help="Transforms of each initial architecture in a batch.", metavar="N")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="REINFORCE: none, ema or architecture.", metavar="NAME")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At the start.", metavar="X")] = None,
    entropy: Annotated[
        float | None, typer.Option(help="Weight of the entropy bonus at the start.", metavar="X")
    ] = None,
    warmup_steps: Annotated[
        int | None, typer.Option(help="Supernet: weight steps before the first iteration.", metavar="N")
    ] = None,
    weight_steps: Annotated[
        int | None, typer.Option(help="Supernet: weight steps before each iteration.", metavar="N")
    ] = None,
    channels: Channels = None,
    cells: Cells = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="quick, or paper: networks are trained as published; a supernet in turns with its policy.",
            metavar="NAME",
            show_default="quick",
        ),
    ] = None,
    surrogate: Annotated[
        int | None,
        typer.Option(help="Scratch or table: evaluate so many architectures, predict the others.", metavar="N"),
    ] = None,
    actors: Annotated[
        int | None, typer.Option(help="Ray actors that evaluate architectures.", metavar="N", show_default="0")
    ] = None,
    gpus_per_actor: Annotated[
        float | None, typer.Option(help="GPUs of each actor; fractions share one.", metavar="X", show_default="0")
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds that an evaluation on an actor may take; then it is tried again.", metavar="S"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.", show_default="0")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; must not exist yet.", metavar="RUN")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with this run instead; with more --iterations too.", metavar="RUN"),
    ] = None,
    mlflow: Mlflow = None,
    wandb: Wandb = None,
    address: Address = None,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train a policy that transforms architectures.

    Example: natrl train --space nasbench201 --reward table:nasbench201 --out runs/first
    """
    if (out is None) == (resume is None):
        raise ValueError("give either --out RUN (a new run) or --resume RUN (go on with one)")
    given = {
        "evaluator": {
            "reward": reward,
            "space": space,
            "column": column,
            "data": data,
            "metric": metric,
            "schedule": schedule,
            "surrogate": surrogate,
            "actors": actors,
            "num_gpus": gpus_per_actor,
            "timeout": timeout,
            "skeleton": {"channels": channels, "cells": cells},
        },
        "learn": {
            "algorithm": algorithm,
            "iterations": iterations,
            "batch_size": batch_size,
            "group_size": group_size,
            "baseline": baseline,
            "learning_rate": learning_rate,
            "entropy": entropy,
            "warmup_steps": warmup_steps,
            "weight_steps": weight_steps,
        },
        "head": head,
        "rule": rule,
        "cost": cost,
        "initial": initial,
        "seed": seed,
    }
    if resume is not None:
        if mlflow or wandb:
            raise ValueError("--mlflow and --wandb go with a new run: --resume RUN logs where the run did")
        asked = _resumed(resume, config, given)
        with ray_session(address, verbose=verbose, hint=f"go on with natrl train --resume {quote(resume)}"):
            from natrl.tuning.run import resume as resume_run

            resume_run(resume, settings=asked)
            _report(resume, as_json)
        return
    settings = _settings(config, given)
    _check_applies(settings, given)
    assert out is not None
    from natrl.runs.directory import check_new_run

    check_new_run(out)
    with ray_session(address, verbose=verbose, hint=f"go on with natrl train --resume {quote(out)}"):
        from natrl.tuning.run import train as train_run
        from natrl.tuning.tracking import trackers

        callbacks = trackers(mlflow=mlflow, wandb=wandb, name=out.name, parameters=settings.to_dict())
        train_run(settings, out, command=invocation(), callbacks=callbacks)
        _report(out, as_json)


def _settings(config: Path | None, given: dict[str, Any]) -> RunSettings:
    """The file's settings, or the defaults, under the options given."""
    from natrl.tuning.documents import complete, read_settings
    from natrl.tuning.presets import without_presets

    document, schedule = read_settings(config) if config else {}, given["evaluator"]["schedule"]
    if schedule is not None and _schedule(document) not in (None, schedule):
        document = without_presets(document)
    document = _over(document, given)
    if any(given["learn"][name] is not None for name in ("iterations", "warmup_steps", "weight_steps")):
        for derived in ("total_steps", "surrogate_every"):  # the file's belong to the file's steps
            document.get("evaluator", {}).pop(derived, None)
    return complete(document)


def _resumed(run: Path, config: Path | None, given: dict[str, Any]) -> RunSettings:
    """The settings that a run is asked to go on with: the file's, or its own, under the options given."""
    from natrl.runs.directory import read_config
    from natrl.runs.settings import RunSettings

    if config is not None:
        return _settings(config, given)
    return RunSettings.from_dict(_over(read_config(run)["settings"], given))


def _check_applies(settings: RunSettings, given: dict[str, Any]) -> None:
    """ValueError if an option was given that these settings do not heed."""
    spec, learn = settings.evaluator, given["learn"]
    evaluator, skeleton = given["evaluator"], given["evaluator"]["skeleton"]
    images = {"--data": evaluator["data"], "--channels": skeleton["channels"], "--cells": skeleton["cells"]}
    refuse_unheeded(spec.reward, {"--column": evaluator["column"], **images})
    if not spec.kind.changes:
        steps = {"--warmup-steps": learn["warmup_steps"], "--weight-steps": learn["weight_steps"]}
        refuse(steps, f"they train the weights of a supernet, the reward is {spec.reward}")
    if not spec.actors:
        workers = {"--gpus-per-actor": evaluator["num_gpus"], "--timeout": evaluator["timeout"]}
        refuse(workers, "there are no actors: give --actors N too")
    if settings.learn.algorithm != "reinforce":
        refuse({"--baseline": learn["baseline"]}, "ppo learns its own baseline; --algorithm reinforce has others")


def _over(document: Any, given: dict[str, Any]) -> Any:
    """The document with what the user gave in place; None and groups without a value are not given.

    A seed that is given is everything's, the evaluator's too.
    """
    if not isinstance(document, dict):
        return document  # which is no group of fields: `complete` says so
    merged = dict(document)
    for name, value in given.items():
        if isinstance(value, dict):
            value = _over(merged.get(name) or {}, value) or None
        if value is not None:
            merged[name] = value
    if given.get("seed") is not None and isinstance(evaluator := merged.get("evaluator"), dict):
        merged["evaluator"] = {**evaluator, "seed": given["seed"]}
    return merged


def _schedule(document: dict[str, Any]) -> Any:
    """The schedule that settings were completed for, if they say."""
    evaluator = document.get("evaluator")
    return evaluator.get("schedule") if isinstance(evaluator, dict) else None


def _report(run: Path, as_json: bool) -> None:
    from natrl.runs.metrics import last_result

    result = last_result(run)
    if as_json:
        print(json.dumps({"run": str(run), **result}))
        return
    shown = ", ".join(f"{name} {value:.4g}" for name, value in result.items())
    text = f"{run}: {shown}\nnext: natrl transform ARCH --policy {quote(run)}"
    Console().print(text, highlight=False, soft_wrap=True)  # a command is copied whole
