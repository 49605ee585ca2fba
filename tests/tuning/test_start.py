"""`natrl train --from RUN`: learning goes on from what another run has learned."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import natrl
from natrl.evaluation.ledger.file import read_ledger
from natrl.evaluation.surrogate.model import CAUTION
from natrl.policies import load_policy
from natrl.runs.directory import ledger_file, START
from natrl.runs.metrics import last_result
from natrl.runs.scores import score_model
from tests.commands.cli import error, output
from tests.modules.trained import digits, trained
from tests.tuning.test_modules import TINY

SMALL = ("--space", "nasbench201", "--reward", "table:nasbench201", "--batch-size", 16, "--surrogate", 24)


@pytest.fixture(scope="module")
def first(ray_session, tmp_path_factory):
    """A run of four iterations: three seconds."""
    path = tmp_path_factory.mktemp("start") / "first"
    natrl.train(
        natrl.RunSettings.from_dict(
            {
                "evaluator": {
                    "space": "nasbench201",
                    "reward": "table:nasbench201",
                    "surrogate": 24,
                    "surrogate_every": 1,
                },
                "learn": {"iterations": 4, "batch_size": 16, "minibatch_size": 16},
            }
        ),
        out=path,
    )
    return path


def weights(run):
    return load_policy(run).network.state_dict()


def test_a_run_begins_with_the_others_policy_and_knows_what_it_paid_for(first, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(first, "its first")
    options = (
        *SMALL,
        "--surrogate",
        60,
        "--iterations",
        1,
        "--learning-rate",
        1e-9,
        "--out",
        "second",
        "--budgets",
        "madds",
    )
    output(capsys, "train", *options, "--from", "its first")
    shutil.rmtree("its first")
    document = json.loads((tmp_path / "second" / "config.json").read_text())
    assert document["settings"]["start"] == str(tmp_path / "its first")
    before, after = weights(first), weights("second")
    assert before.keys() < after.keys(), "a budget may come in"
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-6)
    start = tmp_path / "second" / START
    assert len(read_ledger(ledger_file(start))) == len(read_ledger(ledger_file(first)))
    architectures = [natrl.parse(key) for key in read_ledger(ledger_file(first))["architecture"]]
    assert score_model(start).predict(architectures).tolist() == score_model(first).predict(architectures).tolist()
    assert "model_before" in last_result(tmp_path / "second")
    output(capsys, "train", "--resume", "second", "--iterations", 2)
    assert last_result(tmp_path / "second")["training_iteration"] == 2
    assert "another start" in error(capsys, "train", "--resume", "second", "--from", str(first))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--head", "joint"), "the policy to start from has head 'autoregressive', not 'joint'"),
        (("--from", "nowhere"), "nowhere' is neither a policy nor a run: there is no such directory"),
    ],
)
def test_what_does_not_fit_is_refused(first, tmp_path, capsys, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    assert said in error(capsys, "train", *SMALL, "--from", first, *options, "--out", "second")
    assert not (tmp_path / "second").exists()


def test_too_few_scores_make_no_model(first, tmp_path):
    assert score_model(first, slots=8) is None, "of another space"
    assert score_model(tmp_path) is None


def test_what_was_paid_for_chooses_where_it_predicts(first, tmp_path, capsys, monkeypatch):
    dense = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    model = score_model(first)
    monkeypatch.setattr("natrl.evaluation.surrogate.model.TRUSTED", -1.0)
    chosen = natrl.transform(dense, first)
    assert chosen.best_index == chosen.scores.argmax()
    assert chosen.scores.tolist() == model.predict(chosen.architectures, CAUTION).tolist()
    assert "by the scores that its run has paid for" in output(capsys, "transform", dense, "--policy", first)
    assert "by the scores" not in output(capsys, "transform", dense, "--policy", first, "--evaluator", "none")
    point = natrl.front(dense, first, budgets=["100%"]).points[0]
    assert point.answer == chosen.best
    assert point.predicted == model.predict([chosen.best]).item()
    monkeypatch.setattr("natrl.evaluation.surrogate.model.TRUSTED", 2.0)
    assert natrl.transform(dense, first).scores is None
    assert natrl.transform(dense, first, evaluator=None).scores is None
    monkeypatch.setattr("natrl.evaluation.surrogate.model.TRUSTED", -1.0)
    assert natrl.transform("DARTS", first, n=1, space="darts").scores is None, "of another space they say nothing"


def test_natrl_optimize_goes_on_from_a_policy_and_refuses_another_at_once(first, ray_session, tmp_path):
    """Learned on cells, it begins on a network's layers: eight seconds."""
    given = {"data": digits(), "budget": {"madds": "70%"}, "out": tmp_path / "out"}
    settings = replace(
        TINY,
        learn=replace(TINY.learn, learning_rate=1e-9, final_learning_rate=1e-9),
        start=str(first),
        finalists=1,
        keep=0.0,
    )
    with pytest.raises(ValueError, match="the policy to start from has head 'autoregressive', not 'joint'"):
        natrl.optimize(trained(), settings=replace(settings, head="joint"), **given)
    assert not (tmp_path / "out").exists()
    natrl.optimize(trained(), settings=settings, **given)
    learned = load_file(tmp_path / "out" / "policy" / "policy.safetensors")
    for name, value in weights(first).items():
        torch.testing.assert_close(learned[name], value, rtol=0, atol=1e-6)
    assert (tmp_path / "out" / START / "policy" / "policy.json").is_file()


def test_a_sweep_whose_trials_cannot_go_on_is_refused(first, tmp_path, capsys):
    """A path is relative to the file that names it."""
    (tmp_path / "space.yaml").write_text(
        "settings:\n  evaluator: {space: nasbench201, reward: 'table:nasbench201'}\n  start: nowhere\n"
        "parameters: {learn.entropy: {choice: [0.01, 0.1]}}\ntrials: 2\n"
    )
    said = error(capsys, "sweep", tmp_path / "space.yaml", "-o", tmp_path / "sweep")
    assert f"'{tmp_path / 'nowhere'}' is neither a policy nor a run" in said
