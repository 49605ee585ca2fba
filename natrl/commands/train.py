"""natrl train"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from natrl.commands.options import Address, invocation, Json, Mlflow, Verbose, Wandb
from natrl.commands.settings_options import as_typed, flag, leaves, Options
from natrl.files.paths import quote
from natrl.runs.settings import RunSettings
from natrl.tuning.session import ray_session

__all__ = ["train"]


#: What has an option.
FIELDS = """
evaluator.space evaluator.reward evaluator.column evaluator.data evaluator.metric? learn.algorithm head rule cost
initial? budgets? budget.madds budget.params
learn.iterations? learn.batch_size? learn.group_size? learn.baseline? learn.learning_rate?
learn.entropy? learn.warmup_steps? learn.weight_steps? evaluator.skeleton.channels evaluator.skeleton.cells
evaluator.schedule evaluator.surrogate evaluator.actors evaluator.num_gpus evaluator.timeout start seed
"""


def train(
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="Settings from a YAML or JSON file, or a run's config.json; options win.", metavar="FILE"),
    ] = None,
    given: Annotated[dict[str, Any], Options(RunSettings, FIELDS)],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run directory; must not exist yet.", metavar="RUN")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with this run instead; with more --iterations too.", metavar="RUN")
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
    """The file's settings, or the defaults, under the options given. ValueError if they have no use for one of them."""
    from natrl.tuning.documents import complete, in_vain, read_settings, unheeded

    file = read_settings(config) if config else {}
    try:
        settings = complete(_merged(file, given))
    except ValueError as error:
        if file and _reason(file) == str(error):
            raise ValueError(f"{config}: {error}") from None
        raise
    why = unheeded(settings)
    names = [(name, as_typed(flag(name), value)) for name, value in leaves(given)]
    names += [(name, f"{config}: {name}") for name in in_vain(file)] if file else []
    for name, shown in names:
        if name in why:
            raise ValueError(f"{shown} does not go with this: {why[name]}")
    return settings


def _merged(file: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What the file says, without what it derived from what is now given otherwise."""
    from natrl.tuning.documents import over
    from natrl.tuning.presets import without_presets

    document, schedule = file, given.get("evaluator", {}).get("schedule")
    if schedule is not None and _schedule(file) not in (None, schedule):
        document = without_presets(file)
    document = over(document, given)
    if {"iterations", "warmup_steps", "weight_steps"} & set(given.get("learn", {})):
        for derived in ("total_steps", "surrogate_every"):  # the file's belong to the file's steps
            document.get("evaluator", {}).pop(derived, None)
    return document


def _reason(file: dict[str, Any]) -> str | None:
    """Why a file's settings cannot be, whatever options are given; None if they can."""
    from natrl.tuning.documents import complete

    try:
        complete(file)
        return None
    except ValueError as error:
        return str(error)


def _resumed(run: Path, config: Path | None, given: dict[str, Any]) -> RunSettings:
    """The settings that a run is asked to go on with: the file's, or its own, under the options given."""
    from natrl.runs.directory import read_config
    from natrl.tuning.documents import over

    if config is not None:
        return _settings(config, given)
    return RunSettings.from_dict(over(read_config(run)["settings"], given))


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
