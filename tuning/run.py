"""One training run: a Ray Tune experiment with a single trial, in a run directory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune
from rich.progress import Progress

from natrl.checks.arguments import checked
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.files.locks import locked
from natrl.files.paths import absolute, quote
from natrl.files.writing import write_json
from natrl.runs.directory import begun, check_versions, CONFIG, create_run, ledger_file, read_config, started
from natrl.runs.settings import RunSettings
from natrl.tuning.configuration import build_reward, check_settings, run_configuration
from natrl.tuning.experiment import begun_tuner, RunError, train_to_end
from natrl.tuning.resuming import check_same
from natrl.tuning.session import check_resources
from natrl.tuning.tasks import put

__all__ = ["RunError", "learn", "resume", "train"]

_build = build_reward  # so Tune's files of older runs call it


@checked
def train(
    settings: RunSettings,
    out: Path | str,
    *,
    command: str | None = None,
    progress: Progress | None = None,
    callbacks: Sequence[tune.Callback] = (),
) -> Path:
    """Trains a policy in a new run directory and returns it; Ray must run (`ray_session`).

    `callbacks` are Tune's, besides its CSV, JSON and TensorBoard files (`natrl.tuning.tracking`). ValueError on
    settings that cannot work, before anything is written; RunError if training fails.
    """
    run = absolute(out)
    check_settings(settings)
    config = run_configuration(started(settings, run), ledger_file(run))
    with begun(run):
        create_run(run, settings, command or " ".join(sys.argv))
        learn(run, settings, config, progress=progress, callbacks=callbacks)
    return run


@checked
def resume(run: Path | str, *, settings: RunSettings | None = None, progress: Progress | None = None) -> Path:
    """Goes on with a run from its last checkpoint, after a kill or an error; a finished run is returned as it is.

    A run without a checkpoint starts anew. Either way its ledger pays for nothing again. `settings`: with more
    iterations than the run had, it trains on to so many, and rates that fall linearly fall until there. ValueError if
    the directory is not a run, or if any other setting differs from the run's.
    """
    run = absolute(run)
    document = read_config(run)
    check_versions(run, document.get("versions", {}))
    own = RunSettings.from_dict(document["settings"])
    settings = own if settings is None else _extended(run, own, settings)
    if settings.evaluator.resources:
        check_resources(**settings.evaluator.resources)
    config = run_configuration(started(settings, run), ledger_file(run))
    if settings != own:
        write_json(run / CONFIG, document | {"settings": settings.to_dict()})
    with locked(run):
        learn(run, settings, config, progress=progress)
    return run


def _extended(run: Path, own: RunSettings, given: RunSettings) -> RunSettings:
    """The run's settings with the iterations given. ValueError if anything else differs, but what follows from them."""
    new = own.learn.iterations, given.learn.iterations
    spec = replace(own.evaluator, total_steps=own.evaluator.total_steps + (new[1] - new[0]) * own.learn.weight_steps)
    follows = {name: getattr(own.evaluator, name) for name in ("total_steps", "surrogate_every")}
    given = replace(given, evaluator=replace(given.evaluator, **follows))
    check_same(run, own.to_dict(), given.to_dict(), iterations="learn.iterations")
    return own if new[0] == new[1] else replace(own, evaluator=spec, learn=given.learn)


def learn(
    run: Path,
    settings: RunSettings,
    config: Any,
    *,
    progress: Progress | None = None,
    callbacks: Sequence[tune.Callback] = (),
    hint: str = "",
) -> Path:
    """Trains a policy in a run directory that is held, from where it stands there; returns the policy's folder.

    `config`: its `run_configuration`. RunError where training fails.
    """
    if settings.evaluator.own:  # by reference: Tune writes its configuration down, in hexadecimal, every second
        config.env_config["build_evaluator"] = put(config.env_config["build_evaluator"])
    iterations, every = settings.learn.iterations, settings.checkpoint_every
    tuner = begun_tuner(config, run, iterations=iterations, checkpoint_every=every, callbacks=callbacks)
    hint = hint or f"; go on with --resume {quote(run)}"
    with nullcontext() if settings.evaluator.kind.changes else serve_ledger(ledger_file(run)):
        return train_to_end(tuner, run, iterations=iterations, progress=progress, hint=hint)
