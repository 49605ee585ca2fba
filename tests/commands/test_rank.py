"""`natrl rank`: a surrogate against a table, and a supernet against networks that were trained (5 s)."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

import natrl
from natrl.runs.metrics import last_result
from natrl.training.schedule import schedule
from tests.commands.cli import error, output

TABLE = ["--truth", "table:nasbench201", "--space", "nasbench201"]


def test_a_surrogate_orders_better_than_madds(capsys, tmp_path):
    out = tmp_path / "rank"
    arguments = ["--proxy", "surrogate", *TABLE, "-n", 100, "--queries", 200]
    document = json.loads(output(capsys, "rank", *arguments, "--json", "-o", out))
    found = document["correlations"]
    assert found["proxy"]["kendall"] > found["madds"]["kendall"] + 0.1
    assert found["proxy"]["spearman_low"] < found["proxy"]["spearman"] < found["proxy"]["spearman_high"]
    frame = pd.read_csv(out / "rank.csv")
    assert (len(frame), list(frame.columns)) == (100, ["architecture", "proxy", "trained", "madds"])
    assert frame["proxy"].corr(frame["trained"], method="kendall") == pytest.approx(found["proxy"]["kendall"])
    assert (out / "rank.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "rank.json").read_text())["versions"]["natrl"]


def test_a_supernet_against_training_from_scratch(capsys, monkeypatch, tmp_path, ray_session):
    short = replace(schedule("quick"), epochs=1)
    monkeypatch.setattr("natrl.training.schedule.schedule", lambda name: short)
    arguments = ["--space", "nasbench201", "--channels", 4, "-n", 5, "--steps", 10]
    text = output(capsys, "rank", *arguments, "-o", tmp_path / "rank")
    assert "order of 5 architectures" in text
    assert "supernet" in text
    assert "MAdds alone" in text
    row = pd.read_csv(tmp_path / "rank" / "rank.csv").iloc[0]
    usual = natrl.space("nasbench201").skeleton
    digits = replace(usual, channels=4, cells=3, image_size=8, image_channels=1)
    assert row["madds"] == natrl.network_cost(natrl.parse(row["architecture"]), digits).madds


def test_the_evaluator_of_a_run_that_learned_from_a_surrogate(capsys, tmp_path, ray_session):
    """About 10 s: a run of 3 iterations with 150 queries, which rank better than MAdds do."""
    run = tmp_path / "run"
    train = ["--reward", "table:nasbench201", "--space", "nasbench201", "--surrogate", 150, "--iterations", 3]
    result = json.loads(output(capsys, "train", *train, "--out", run, "--json"))
    assert 25 <= result["evaluations"] <= 150
    last = last_result(run)
    assert last["model_spearman"] > 0.3
    assert last.keys() >= {"model_r2", "model_error", "model_noise", "model_linear", "round_predicted", "round_score"}
    document = json.loads(output(capsys, "rank", "--proxy", run, "--truth", "table:nasbench201", "-n", 100, "--json"))
    found = document["correlations"]
    assert found["proxy"]["kendall"] > found["madds"]["kendall"]
    assert "leave out --space" in error(capsys, "rank", "--proxy", run, *TABLE)
    assert "is not a run directory" in error(capsys, "rank", "--proxy", tmp_path)


def test_an_output_folder_in_use_is_left_alone(capsys, tmp_path):
    (tmp_path / "rank.csv").write_text("kept")
    message = error(capsys, "rank", "--proxy", "surrogate", *TABLE, "-o", tmp_path)
    assert "exists and is not empty; choose another --out" in message
    assert (tmp_path / "rank.csv").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", 4], "at least 5 architectures, got 4"),
        (["--truth", "supernet"], "the truth is trained accuracies: scratch, table:NAME or table:FILE; got supernet"),
        (["--truth", "table:nasbench202"], "unknown table 'nasbench202'"),
        (["--space", "dart"], "unknown space 'dart'"),
        (["--channels", 0], "channels must be"),
        (["--proxy", "guess"], "module:object; a proxy may also be surrogate or the directory of a run"),
        (["--proxy", "surrogate", "--data", "folder:missing", *TABLE], "--data does not go with this"),
        (["--space", ""], "an argument is empty"),
        (["--proxy", "surrogate", "--queries", 3], "at least 10 queries, got 3"),
        (["--steps", 0], "steps must be at least 1, got 0"),
        (["--seeds", 0], "seeds must be at least 1, got 0"),
        (["--truth", "tables"], "unknown reward 'tables'"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    assert message in error(capsys, "rank", *arguments)
