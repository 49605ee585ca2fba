"""Running a sweep through Ray Tune, in a directory of its own; going on with one after a kill."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
from ray import tune

from natrl.checks.arguments import checked
from natrl.drawing.architectures import save_figure
from natrl.evaluation.ledger.shared import serve_ledger
from natrl.files.locks import locked
from natrl.files.paths import absolute
from natrl.files.writing import write_atomically, write_json
from natrl.report.sweep import sweep_figure
from natrl.runs.directory import (
    begun,
    check_versions,
    is_worth_keeping,
    ledger_file,
    PLAN,
    read_document_of,
    tune_dir,
    versions,
)
from natrl.runs.settings import RunSettings
from natrl.tuning.checkpoints import mend_checkpoints
from natrl.tuning.configuration import check_settings
from natrl.tuning.documents import complete
from natrl.tuning.experiment import restored_tuner, RunError, STATE_PERIOD_S
from natrl.tuning.failures import ForgiveLosses
from natrl.tuning.progress import follow, SweepLine
from natrl.tuning.resuming import check_same
from natrl.tuning.state import has_state, KeepState, mend
from natrl.tuning.sweep.plan import read_plan, SweepPlan
from natrl.tuning.sweep.results import best_row, trial_table, write_best
from natrl.tuning.sweep.search import make_scheduler, make_searcher
from natrl.tuning.sweep.trial import SweepTrial

__all__ = ["BEST", "PICTURE", "TABLE", "resume_sweep", "run_sweep"]

#: Checkpoints of each trial that are kept. Population-based training reads those of others a while later.
KEPT = {"pbt": 4}
TABLE, BEST, PICTURE = "trials.csv", "best.yaml", "parameters.png"


def run_sweep(
    plan: SweepPlan, out: Path | str, *, command: str | None = None, callbacks: Sequence[tune.Callback] = ()
) -> pd.DataFrame:
    """Runs all trials in a new directory and returns their table (`trial_table`); Ray must run (`ray_session`).

    The directory gets sweep.json (the plan), tune/ (Tune's files, a folder a trial), evaluations.db (the ledger that
    all trials share), trials.csv, best.yaml (for `natrl train --config`) and parameters.png. ValueError on what cannot
    work, before anything is written; RunError if every trial failed.
    """
    directory = absolute(out)
    documents = list(plan.extremes())
    iterations = max(complete(document).learn.iterations for document in documents)
    sampler, scheduler = make_searcher(plan), make_scheduler(plan, iterations)
    check_all(documents)
    with begun(directory):
        write_json(
            directory / PLAN, {"plan": plan.to_dict(), "command": command or " ".join(sys.argv), "versions": versions()}
        )
        return _fit(_new_tuner(plan, directory, sampler, scheduler, callbacks), plan, directory)


def _new_tuner(
    plan: SweepPlan, directory: Path, sampler: Any, scheduler: Any, callbacks: Sequence[tune.Callback]
) -> tune.Tuner:
    """The sweep as Tune runs it."""
    return tune.Tuner(
        _trainable(directory, plan),
        param_space=plan.document({p.name: p.domain() for p in plan.parameters}),
        tune_config=tune.TuneConfig(
            metric=plan.metric,
            mode=plan.mode,
            search_alg=sampler,
            scheduler=scheduler,
            num_samples=plan.trials,
            reuse_actors=True,
            trial_dirname_creator=trial_folder,
        ),
        run_config=tune.RunConfig(
            name=tune_dir(directory).name,
            storage_path=str(directory),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=KEPT.get(plan.scheduler_name, 2),
                checkpoint_frequency=complete(next(plan.extremes())).checkpoint_every,
                checkpoint_at_end=True,
            ),
            failure_config=tune.FailureConfig(max_failures=1),
            callbacks=[ForgiveLosses(), KeepState(), SweepLine(plan.metric, plan.mode), *callbacks],
            verbose=0,
        ),
    )


@checked
def resume_sweep(directory: Path | str, file: Path | str | None = None, **changes: Any) -> pd.DataFrame:
    """Goes on with a sweep after a kill: finished trials stay, others go on from their last checkpoints.

    `file` and `changes`: a plan as `read_plan` takes it, which must be the sweep's (None: not given). ValueError if it
    is not, or if the directory is not a sweep; RunError if every trial failed.
    """
    directory = absolute(directory)
    document = read_document_of("sweep", directory, PLAN, "plan")
    check_versions(directory, document.get("versions", {}))
    plan = SweepPlan.from_dict(document["plan"])
    given = {name: value for name, value in changes.items() if value is not None}
    wanted = (read_plan(file, **given) if file else plan).to_dict() | given
    check_same(directory, json.loads(json.dumps(plan.to_dict())), json.loads(json.dumps(wanted)))
    with locked(directory):
        mend(directory)
        if not has_state(directory):
            raise ValueError(f"{directory} was killed before its first trial; start it anew with another --out")
        mend_checkpoints(directory)
        tuner = restored_tuner(directory, trainable=_trainable(directory, plan))
        return _fit(tuner, plan, directory)


def _trainable(directory: Path, plan: SweepPlan) -> Any:
    """`SweepTrial`, paying into the sweep's one ledger: what a trial has paid for is free for all others.

    With settings of every kind go the user's own spaces, heads and others that those of trials only name.
    """
    settings = tuple(_different(plan.extremes()).values())
    return tune.with_parameters(SweepTrial, ledger=ledger_file(directory), settings=settings)


def check_all(documents: Iterable[dict[str, Any]]) -> None:
    """`check_settings` for all documents that differ in what it looks at."""
    for settings in _different(documents).values():
        check_settings(settings)


def _different(documents: Iterable[dict[str, Any]]) -> dict[tuple[Any, ...], RunSettings]:
    """One of all that have the same evaluator, algorithm, head, initial architectures and start."""
    found = {}
    for settings in map(complete, documents):
        found[settings.evaluator, settings.learn.algorithm, settings.head, settings.initial, settings.start] = settings
    return found


def trial_folder(trial: Any) -> str:
    """The folder of a trial, numbered in the order in which they were drawn (as Tune begins its experiment tags)."""
    return f"trial_{int(trial.experiment_tag.partition('_')[0]):04d}"


def _fit(tuner: tune.Tuner, plan: SweepPlan, directory: Path) -> pd.DataFrame:
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", STATE_PERIOD_S)
    pays = any(not complete(document).evaluator.kind.changes for document in plan.extremes())
    with serve_ledger(ledger_file(directory)) if pays else nullcontext(), follow(None, "trials", plan.total):
        results = tuner.fit()
    table = trial_table(plan, results)
    write_atomically(directory / TABLE, table.to_csv(index=False))
    try:
        best = best_row(plan, table)
    except ValueError as error:
        reasons = ", ".join(sorted(set(table["error"]) - {""}))
        where = f" (logs in {tune_dir(directory)})" if is_worth_keeping(directory) else ""
        left = next((str(result.error) for result in results if result.error), None)
        raise RunError(f"{error}: {reasons or 'interrupted'}{where}", left) from None
    configs = {Path(result.path).name: result.config for result in results}
    write_best(plan, best, configs[best["trial"]], directory / BEST)
    save_figure(sweep_figure(plan.parameters, plan.metric, table, best["trial"]), directory / PICTURE, "png")
    return table
