"""`natrl bench` on made-up files of all 15,625 architectures: about 2 s a run, most of it reading the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.bench.problems import made_up, SPACE, thin
from tests.commands.cli import error, output

FIELDS = {
    "method", "rule", "reward", "dataset", "seed", "held_out", "queries", "queries_best", "capture_argmax",
    "capture_best", "worse_share", "worse_share_best", "madds_ratio", "params_ratio", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    archs = list(SPACE.architectures())
    values = 100 * made_up().evaluator().evaluate(archs)
    noise = np.random.default_rng(0).normal(0, 1, (2, len(archs)))
    path = tmp_path_factory.mktemp("table") / "table.parquet"
    first, second = np.clip(values + noise, 0, 100)
    frame = pd.DataFrame({"arch": [a.key for a in archs], "a_val": values, "a_test": first, "b_test": second})
    frame.assign(text="x").to_parquet(path)
    return path


@pytest.fixture(autouse=True, scope="module")
def few_held_out():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("natrl.bench.trained.split", thin)
        yield


def test_json_has_a_row_a_method_data_set_and_seed(capsys, table):
    columns = ["--table", table, "--signal", "a_val", "--report", "a_test,b_test"]
    text = output(
        capsys, "bench", "nasbench201", *columns, "--methods", "identity,local-search", "--queries", 2000, "--seeds", 2,
        "--rule", "nat,nat++", "--json",
    )  # fmt: skip
    rows = json.loads(text)["rows"]
    assert all(set(row) == FIELDS for row in rows)
    assert {(r["method"], r["rule"], r["reward"], r["dataset"], r["seed"]) for r in rows} == {
        (method, rule, "a_val", dataset, seed)
        for method in ("identity", "local-search")
        for rule in ("nat", "nat++")
        for dataset in ("a", "b")
        for seed in (0, 1)
    }
    assert len(rows) == 16
    for row in rows:
        if row["method"] == "identity":
            assert (row["capture_argmax"], row["madds_ratio"], row["queries"]) == (0, 1, 0)
        else:
            assert 0 < row["capture_argmax"] <= 1
            assert 0 < row["queries"] <= 2000


def test_table_files_and_picture(capsys, table, tmp_path):
    out = tmp_path / "deep" / "bench"
    text = output(
        capsys, "bench", "nasbench201", "--table", table, "--signal", "a_val", "--report", "a_test", "--methods",
        "random,random-search", "--queries", 1000, "--seeds", 1, "-o", out,
    )  # fmt: skip
    assert "a, reward a_val, rule nat++, 1 seed" in text
    assert "share the budget equally" in " ".join(text.split())
    csv, parquet = pd.read_csv(out / "results.csv"), pd.read_parquet(out / "results.parquet")
    pd.testing.assert_frame_equal(csv, parquet)
    assert list(csv["method"]) == ["random", "random-search"]
    assert f"{csv['capture_argmax'][1]:.3f}" in text
    curves = pd.read_csv(out / "curves.csv")
    assert curves["capture"].iloc[-1] == pytest.approx(csv["capture_argmax"][1])
    assert (out / "capture.png").read_bytes().startswith(b"\x89PNG")
    document = json.loads((out / "bench.json").read_text())
    assert len(document["rows"]) == 2
    assert document["command"].startswith("natrl")
    assert "is not empty; choose another --out" in error(capsys, "bench", "nasbench201", "-o", out)


def test_published_table_and_transfer(capsys):
    """About 8 s: three published tables are read."""
    text = output(
        capsys, "bench", "nasbench201", "--methods", "random", "--seeds", 1, "--data-sets", "cifar100", "--transfer",
        "--json",
    )  # fmt: skip
    rows = json.loads(text)["rows"]
    assert [(row["reward"], row["dataset"]) for row in rows] == [
        ("cifar100", "cifar100"),
        ("cifar100", "cifar10"),
        ("cifar100", "imagenet16"),
    ]
    assert len({row["madds_ratio"] for row in rows}) == 1
    assert all(row["capture_argmax"] < 0 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cifar"], "unknown benchmark 'cifar'; known: nasbench201"),
        (["nasbench201", "--methods", "hill"], "unknown benchmark method 'hill'; known: identity, random"),
        (["nasbench201", "--methods", ","], "expected names with commas between them, got ','"),
        (["nasbench201", "--data-sets", "mnist"], "no data set 'mnist'; known: cifar10, cifar100, imagenet16"),
        (["nasbench201", "--signal", "a_val"], "name columns of a file: give --table FILE too"),
        (["nasbench201", "--table", "TABLE"], "--table needs --signal COLUMN (to learn from) and --report COLUMN"),
        (["nasbench201", "--table", "TABLE", "--data-sets", "cifar10"], "with --table give --signal and --report"),
        (["nasbench201", "--table", "none.csv", "--signal", "a", "--report", "b"], "no such file"),
        (
            ["nasbench201", "--table", "TABLE", "--signal", "a", "--report", "a_test"],
            "has no column 'a': a_val, a_test",
        ),
        (
            ["nasbench201", "--table", "TABLE", "--signal", "a_val", "--report", "text"],
            "row 0: text is 'x', not a number",
        ),
        (["nasbench201", "--table", "TABLE", "--signal", "a_val", "--report", "a_val"], "both signal and report"),
        (["nasbench201", "--queries", "100", "--methods", "ppo-joint"], "less than one batch of ppo-joint"),
        (["nasbench201", "--queries", "0", "--methods", "random"], "queries must be at least 1, got 0"),
        (["nasbench201", "--seeds", "0", "--methods", "random"], "seeds must be at least 1, got 0"),
        (["nasbench201", "--rule", "nat+", "--methods", "random"], "unknown rule 'nat+'; known: nat, nat++"),
    ],
)
def test_errors_are_one_line(capsys, table, arguments, message):
    assert message in error(capsys, "bench", *[table if a == "TABLE" else a for a in arguments])
