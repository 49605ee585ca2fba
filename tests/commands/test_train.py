"""natrl train, transform, report on a table, and evaluate; together half a minute, mostly Ray's worker processes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import natrl
from natrl.commands.evaluate import trained_skeleton
from natrl.data import load_data
from natrl.evaluation import load_table
from natrl.report.results import read_results
from natrl.training.fitting import measure
from natrl.tuning.chance import compare_with_random
from natrl.tuning.restore import restored_evaluator
from tests.commands.cli import error, output, run

ARCH = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|avg_pool_3x3~2|"
TRAIN = ("train", "--space", "nasbench201", "--reward", "table:nasbench201", "--iterations", 3, "--batch-size", 128)


@pytest.fixture(scope="module")
def policy(ray_session, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "first"
    assert run(*TRAIN, "--out", path) == 0
    return path


def test_train_reports_its_last_iteration(policy, capsys):
    document = json.loads(output(capsys, "train", "--resume", policy, "--json"))
    assert document["run"] == str(policy)
    assert document["training_iteration"] == 3
    assert document["cost_ratio"] < 1
    assert 0 < document["accuracy_mean"] < 1


def test_train_refuses_an_existing_run_and_a_mistaken_setting(policy, capsys, tmp_path):
    assert "exists and is not empty" in error(capsys, *TRAIN, "--out", policy)
    assert "unknown algorithm 'dqn'" in error(capsys, *TRAIN, "--out", tmp_path / "r", "--algorithm", "dqn")
    assert "unknown head 'gru'" in error(capsys, *TRAIN, "--out", tmp_path / "r", "--head", "gru")
    assert "unknown initial 'pool:x'" in error(capsys, *TRAIN, "--out", tmp_path / "r", "--initial", "pool:x")
    assert not (tmp_path / "r").exists()


def test_the_papers_schedule(ray_session, capsys, tmp_path):
    """On digits: 5 weight steps and 7 updates an iteration. The run's supernet chooses on validation images."""
    path = tmp_path / "paper"
    arguments = ("--schedule", "paper", "--iterations", 2, "--channels", 2, "--cells", 2, "--out", path)
    document = json.loads(output(capsys, "train", *arguments, "--json"))
    assert document["weights_version"] == 2 * 7
    settings = json.loads((path / "config.json").read_text())["settings"]
    assert (settings["learn"]["updates"], settings["learn"]["weight_steps"]) == (7, 5)
    assert settings["evaluator"]["total_steps"] == 2 * 5
    chosen = json.loads(output(capsys, "transform", "DARTS", "--policy", path, "--evaluator", "run", "--json"))
    assert chosen["madds"][1] <= chosen["madds"][0]
    evaluator = restored_evaluator(path).inner
    assert len(evaluator._labels) == len(load_data("digits").validation) == 450
    assert "takes no schedule" in error(capsys, *TRAIN, "--schedule", "paper", "--out", tmp_path / "table")


@pytest.mark.parametrize("evaluator", ["none", "run", "table:nasbench201"])
def test_transform(policy, capsys, evaluator):
    document = json.loads(output(capsys, "transform", ARCH, "--policy", policy, "--evaluator", evaluator, "--json"))
    before, after = (natrl.Architecture.from_dict(document[name]) for name in ("before", "after"))
    assert before == natrl.parse(ARCH)
    assert after.is_live
    assert document["params"][1] <= document["params"][0] == natrl.space("nasbench201").cost(before).params
    assert [c["slot"] for c in document["changes"]] == list(before.changes(after))
    assert document["madds"][0] - document["madds"][1] == sum(c["saved_madds"] for c in document["changes"])


def test_transform_within_a_budget_and_to_files(policy, capsys, tmp_path):
    arguments = (
        "--policy",
        policy,
        "--max-madds",
        "60%",
        "--out",
        tmp_path / "better",
        "--picture",
        tmp_path / "a.svg",
    )
    text = output(capsys, "transform", ARCH, *arguments)
    assert "→" in text
    space = natrl.space("nasbench201")
    assert f"{tmp_path / 'better'}: architecture.json, model.py, nasbench201.txt" in text
    chosen = natrl.parse(tmp_path / "better" / "architecture.json")
    assert "cells=15" in (tmp_path / "better" / "model.py").read_text()  # of the space's own network
    assert space.cost(chosen).madds <= 0.6 * space.cost(natrl.parse(ARCH)).madds
    assert "<svg" in (tmp_path / "a.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["VGG"], "one cell of 6 slots"),
        ([ARCH, "-n", "0"], "n must be at least 1, got 0"),
        ([ARCH, "--max-madds", "1"], "smallest"),
        ([ARCH, "--max-madds", "most"], "most"),
        ([ARCH, "--evaluator", "oracle"], "module:object; an evaluator may also be none, model or run"),
        ([ARCH, "--classes", "0"], "num_classes must be a whole number of at least 1"),
        ([ARCH, "--out", "."], "exists and is not empty; choose another --out"),
    ],
)
def test_transform_mistakes(policy, capsys, arguments, message, tmp_path):
    assert message in error(capsys, "transform", "--out", tmp_path / "a", *arguments, "--policy", policy)
    assert not (tmp_path / "a").exists()


def test_transform_for_another_network(policy, capsys, tmp_path):
    sizes = ("--channels", 4, "--cells", 3, "--image-size", 16, "--classes", 7)
    document = json.loads(
        output(capsys, "transform", ARCH, "--policy", policy, *sizes, "--out", tmp_path / "a", "--json")
    )
    skeleton = natrl.Skeleton(channels=4, cells=3, image_size=16, num_classes=7)
    cost = natrl.network_cost(natrl.parse(tmp_path / "a" / "architecture.json"), skeleton)
    assert (document["params"][1], document["madds"][1]) == (cost.params, cost.madds)
    assert "channels=4, cells=3, image_channels=3, num_classes=7" in (tmp_path / "a" / "model.py").read_text()


def test_onnx_needs_a_folder(policy, capsys):
    assert "--onnx writes into --out DIR" in error(capsys, "transform", ARCH, "--policy", policy, "--onnx")
    assert "--onnx writes into --export DIR" in error(capsys, "evaluate", "VGG", "--onnx")


def test_evaluations_of_a_run(policy, capsys, tmp_path):
    last = json.loads(output(capsys, "train", "--resume", policy, "--json"))
    text = output(capsys, "evaluations", policy, "--csv", tmp_path / "all.csv")
    assert f"{last['evaluations']:.0f} evaluations" in text
    rows = json.loads(output(capsys, "evaluations", policy, "--json"))
    frame = pd.read_csv(tmp_path / "all.csv")
    assert len(rows) == len(frame) == last["evaluations"] == frame.architecture.nunique()
    assert list(frame.architecture) == [row["architecture"] for row in rows]
    assert frame["score"].is_monotonic_decreasing
    assert (frame.paid == 1).all()
    table = load_table("nasbench201")
    np.testing.assert_array_equal(frame["score"], table.evaluate([natrl.parse(key) for key in frame.architecture]))
    assert "is not a run or sweep directory" in error(capsys, "evaluations", tmp_path)


def test_report_of_a_run(policy, capsys):
    assert output(capsys, "report", policy, "--compare", 0).strip() == str(policy / "report.html")
    assert not (policy / "candidates.json").exists()
    assert "Candidates, and random ones at the same budget: natrl report" in (policy / "report.html").read_text()
    assert "at least 2 architectures, got 1" in (output(capsys, "report", policy, "--compare", 1), page(policy))[1]
    output(capsys, "report", policy, "--compare", 6)
    assert 'id="candidates"' in page(policy)
    written = (policy / "candidates.json").stat().st_mtime_ns
    output(capsys, "report", policy, "--compare", 6)
    assert (policy / "candidates.json").stat().st_mtime_ns == written  # the same policy is not measured again


def page(run):
    return (run / "report.html").read_text(encoding="utf-8")


def test_the_policy_and_chance_have_the_same_budget_and_masks(policy):
    scores, space, table = compare_with_random(policy, n=4), natrl.space("nasbench201"), load_table("nasbench201")
    again = compare_with_random(policy, n=4)
    assert again.rows.equals(scores.rows)
    architectures = [natrl.parse(key) for key in scores.rows["architecture"]]
    np.testing.assert_array_equal(scores.rows["score"], table.evaluate(architectures))
    assert [space.cost(a).madds for a in architectures] == scores.rows["madds"].tolist()
    assert scores.iteration == 3
    for name, rows in scores.rows.assign(architecture=architectures).groupby("name"):
        by_method = {method: list(group["architecture"]) for method, group in rows.groupby("method")}
        (original,) = by_method["original"]
        mask = space.masks(original)
        assert len(by_method["policy"]) >= len(by_method["random"]) > 1, name
        for a in by_method["policy"] + by_method["random"]:
            assert all(mask[e, space.primitives.index(op)] for e, op in enumerate(a.operations))
        for found in by_method.values():
            assert len(set(found)) == len(found)
        assert original not in by_method["random"]


def test_evaluate_with_the_papers_schedule_trains_the_papers_network():
    assert trained_skeleton("paper", 2) == natrl.Skeleton(channels=36, cells=20)
    assert trained_skeleton("paper", 2, channels=16) == natrl.Skeleton(channels=16, cells=20)
    assert trained_skeleton("paper", 1) == natrl.space("nasbench201").skeleton
    assert trained_skeleton("quick", 2, cells=4) == natrl.Skeleton(channels=8, cells=4)


def test_evaluate(ray_session, capsys, tmp_path):
    path = tmp_path / "results.json"
    arguments = ("--seeds", 2, "--channels", 4, "--out", path, "--export", tmp_path / "models")
    text = output(capsys, "evaluate", "VGG", "NATv2_VGG", *arguments)
    assert "NATv2_VGG" in text
    results = read_results(path)
    assert [row.name for row in results.rows] == ["VGG", "NATv2_VGG"]
    for row in results.rows:
        assert len(row.validation) == 2
        assert min(row.validation) > 0.8  # ten classes: chance is 0.1
        assert row.test == ()  # not asked for
        network = natrl.build_network(row.architecture, results.skeleton)
        network.load_state_dict(load_file(tmp_path / "models" / row.name / "model.safetensors"))
        assert measure(network, load_data("digits").validation).accuracy == row.validation[0]
