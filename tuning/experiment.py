"""A Tune experiment with a single trial: what a run of any kind is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune
from rich.progress import Progress

from natrl.evaluation.user_code import share_user_code
from natrl.runs.directory import is_worth_keeping, publish_policy, tune_dir
from natrl.tuning.checkpoints import mend_checkpoints
from natrl.tuning.failures import ForgiveLosses
from natrl.tuning.progress import follow, ProgressLine
from natrl.tuning.resuming import extend_trial
from natrl.tuning.state import has_state, KeepState, mend

__all__ = ["STATE_PERIOD_S", "RunError", "begun_tuner", "restored_tuner", "train_to_end"]

#: How often Tune writes down which checkpoint is the last; a kill loses so much. Its default is 10 s and more.
STATE_PERIOD_S = "1"


class RunError(RuntimeError):
    """A run ended early; the message says why and where its files are.

    `remote_traceback`: what the worker left, where it was an error of its own.
    """

    def __init__(self, message: str, remote_traceback: str | None = None) -> None:
        super().__init__(message)
        self.remote_traceback = remote_traceback


def begun_tuner(
    config: Any, run: Path, *, iterations: int, checkpoint_every: int, callbacks: Sequence[tune.Callback] = ()
) -> tune.Tuner:
    """The trial of RLlib's configuration in `run` (absolute), to go on from its last checkpoint; a new one without any.

    It ends after so many iterations, also where it had ended after fewer. What a kill left half-written is mended.
    """
    mend(run)
    if has_state(run):
        mend_checkpoints(run)
        extend_trial(run, config, iterations)
        return restored_tuner(run, trainable=config.algo_class, param_space=config)
    return tune.Tuner(
        config.algo_class,
        param_space=config,
        run_config=tune.RunConfig(
            name=tune_dir(run).name,
            storage_path=str(run),
            stop={"training_iteration": iterations},
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=2, checkpoint_frequency=checkpoint_every, checkpoint_at_end=True
            ),
            failure_config=tune.FailureConfig(max_failures=2),
            callbacks=[ForgiveLosses(), KeepState(), ProgressLine(), *callbacks],
            verbose=0,
        ),
        tune_config=tune.TuneConfig(trial_dirname_creator=lambda trial: "trial"),
    )


def restored_tuner(directory: Path, **options: Any) -> tune.Tuner:
    """The experiment that Tune has written down in a directory. ValueError in one line if its files are damaged."""
    path = tune_dir(directory)
    try:
        return tune.Tuner.restore(str(path), resume_errored=True, **options)
    except Exception as error:  # of damaged pickles: anything
        reason = f"{type(error).__name__}: {str(error).partition('.')[0]}"
        raise ValueError(f"Tune's files in {path} are damaged, or another natrl's ({reason}); start anew") from error


def train_to_end(
    tuner: tune.Tuner, run: Path, *, iterations: int, progress: Progress | None = None, hint: str = ""
) -> Path:
    """Trains to the end, and returns the folder of the policy in `run`.

    RunError where it fails: the reason, and where there is something to go on with, where the logs are and the hint.
    """
    share_user_code()
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", STATE_PERIOD_S)
    with follow(progress, "policy", iterations):
        result = tuner.fit()[0]
    if result.error is not None or result.checkpoint is None:
        where = f" (logs in {tune_dir(run)}{hint})" if is_worth_keeping(run) else ""
        left = str(result.error).strip() if result.error else "it made no checkpoint"
        raise RunError(f"training failed: {left.splitlines()[-1]}{where}", left)
    return publish_policy(run, Path(result.checkpoint.path))
