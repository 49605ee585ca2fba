"""Trackers by a flag; MLflow's store is checked in test_sweep.py, where a run fills one."""

from __future__ import annotations

import pytest
from ray.air.integrations.wandb import WandbLoggerCallback

from natrl.tuning import tracking
from natrl.tuning.tracking import trackers
from tests.commands.cli import error


def test_none_by_default():
    assert trackers(name="run") == []


def test_a_missing_package_says_what_to_install(ray_session, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(tracking, "find_spec", lambda package: None)
    train = ("train", "--space", "nasbench201", "--reward", "table:nasbench201", "--out", tmp_path / "run")
    message = error(capsys, *train, "--wandb", "project")
    assert message == "natrl: --wandb needs the package wandb: pip install wandb\n"
    with pytest.raises(ValueError, match="--mlflow needs the package mlflow"):
        trackers(mlflow="sqlite:///x.db", name="run")
    assert not (tmp_path / "run").exists()


def test_wandb_gets_project_group_settings_and_our_metrics(monkeypatch):
    """Nothing is sent: Ray's callback is stopped where it would hand a result to W&B's process."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    (callback,) = trackers(wandb="project", name="run", parameters={"head": "joint"})
    assert (callback.project, callback.group, callback.kwargs) == ("project", "run", {"config": {"head": "joint"}})
    heard = []
    monkeypatch.setattr(WandbLoggerCallback, "log_trial_result", lambda self, *arguments: heard.append(arguments))
    callback.log_trial_result(1, "trial", {"reward_mean": 0.1, "learners": {"default_policy": {"lr": 1}}})
    assert heard == [(1, "trial", {"reward_mean": 0.1})]
