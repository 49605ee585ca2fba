"""Experiment trackers besides Tune's own CSV, JSON and TensorBoard files: MLflow and Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune import Callback

from natrl.runs.metrics import METRICS

__all__ = ["trackers"]


def trackers(
    *, mlflow: str | None = None, wandb: str | None = None, name: str, parameters: Mapping[str, Any] | None = None
) -> list[Callback]:
    """Ray's callbacks for the trackers that a user asks for; they run in the process that starts the trials.

    `mlflow`: URI of a server or a store ("http://…", "sqlite:///FILE"); `name` becomes the experiment. `wandb`: a
    project; `name` becomes the group. `parameters` are logged for each trial; None: the trial's own configuration.
    ValueError if a package is missing.
    """
    callbacks: list[Callback] = []
    if mlflow is not None:
        _require("mlflow")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # it tells of its tables otherwise
        callbacks.append(_Mlflow(parameters, tracking_uri=mlflow, experiment_name=name))
    if wandb is not None:
        _require("wandb")
        config = {} if parameters is None else {"config": dict(parameters)}
        callbacks.append(_Wandb(project=wandb, group=name, **config))
    return callbacks


_PACKAGES = {"mlflow": "mlflow-skinny sqlalchemy", "wandb": "wandb"}  # sqlalchemy: MLflow's stores in a file


def _require(package: str) -> None:
    if find_spec(package) is None:
        raise ValueError(f"--{package} needs the package {package}: pip install {_PACKAGES[package]}")


def _ours(result: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that docs/metrics.md explains; RLlib's several hundred others stay in Tune's files."""
    return {name: result[name] for name in METRICS if name in result}


class _Mlflow(MLflowLoggerCallback):
    def __init__(self, parameters: Mapping[str, Any] | None, **arguments: Any) -> None:
        super().__init__(**arguments, log_params_on_trial_end=True)  # RLlib's own parameters: never, see below
        self._parameters = parameters

    def log_trial_start(self, trial: Any) -> None:
        super().log_trial_start(trial)
        parameters = dict(trial.config if self._parameters is None else self._parameters)
        self.mlflow_util.log_params(parameters, run_id=self._trial_runs[trial])

    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        super().log_trial_result(iteration, trial, _ours(result))

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        if trial in self._trial_runs:
            self.mlflow_util.end_run(status="FAILED" if failed else "FINISHED", run_id=self._trial_runs[trial])


class _Wandb(WandbLoggerCallback):
    def log_trial_result(self, iteration: int, trial: Any, result: dict[str, Any]) -> None:
        super().log_trial_result(iteration, trial, _ours(result))
