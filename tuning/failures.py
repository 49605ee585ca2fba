"""Trials that Tune starts again: after a failure a few times, after a machine left as often as need be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune import Callback

from natrl.evaluation.pool.losses import machine_left, MOST_LOSSES

__all__ = ["ForgiveLosses"]


class ForgiveLosses(Callback):
    """Takes a failure back that Tune counted because the trial's machine left. (Tune forgives a preemption alone.)"""

    def __init__(self) -> None:
        self._failures: Counter[str] = Counter()  # by trial, those that stay counted
        self._losses: Counter[str] = Counter()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Called by Tune after it counted a failure, before the trial goes on."""
        name, state = trial.trial_id, trial.run_metadata
        if state.num_failures > self._failures[name] and self._losses[name] < MOST_LOSSES and _lost(trial):
            self._losses[name] += 1
            state.num_failures = self._failures[name]
        self._failures[name] = state.num_failures


def _lost(trial: Any) -> bool:
    """Whether the trial's last error, which Tune has just written, is that its machine left."""
    return machine_left(cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()))
