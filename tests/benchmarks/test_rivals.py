"""The comparison with other tools, on a network of a few hundred weights: one counter, one clock, and no row twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from time import process_time
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"
TINY = (
    *("--data", "digits", "--image-size", "8", "--train-images", "100", "--epochs", "1", "--tuning-epochs", "1"),
    *("--width", "0.0625", "--runtimes", "eager", "--budgets", "60%", "--seeds", "0", "--choosing-seeds", "1"),
)


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On the path."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def only(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> ModuleType:
    """Settings of methods replaced."""
    methods = import_module("_rivals_methods").METHODS
    for name, few in settings.items():
        monkeypatch.setitem(methods, name, few(methods[name]))
    return import_module("rivals")


def test_a_rival_is_compared_by_its_better_setting_and_no_row_is_measured_twice(monkeypatch, tmp_path, capsys):
    """Some seconds: three networks are trained, and three pruned."""
    monkeypatch.setattr(import_module("_rivals_pruners"), "STEPS", 10)
    monkeypatch.setattr(import_module("_rivals_measuring"), "ROUNDS", 1)
    tried = [{"importance": "magnitude", "multiple": None, "least": least} for least in (0.1, 1.0)]
    rivals = only(
        monkeypatch,
        **{
            "torch-pruning": lambda m: replace(m, settings=tuple(tried)),
            "fastnas": lambda m: replace(m, package="not_installed"),
        },
    )
    file = tmp_path / "rows.jsonl"
    given = [*TINY, "--methods", "original", "torch-pruning", "thinner", "fastnas", "--out", str(file)]
    rivals.main(given)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(r["method"], r["seed"], r["choosing"]) for r in rows] == [
        ("original", 0, False),
        ("torch-pruning", 1, True),
        ("torch-pruning", 1, True),
        ("torch-pruning", 0, False),
        ("thinner", 0, False),
    ]
    original, able, unable, pruned, thinner = rows
    assert original["madds"] == original["parameters"] == 1
    assert able["test"] is None, "what chooses reads no test data"
    assert "every layer is at its least" in unable["failed"]
    assert pruned["setting"] == tried[0]
    for row in (pruned, thinner):
        assert 0.2 < row["madds"] <= 0.6
        assert row["kept"]
        assert row["eager_32"] > 0
        assert "onnxruntime_32" not in row
    printed = capsys.readouterr()
    assert "left out, since their packages are not installed: fastnas" in printed.err
    assert "thinner" in printed.out
    rivals.main(given)
    assert len(file.read_text().splitlines()) == len(rows)


def test_a_training_of_its_own_is_no_search(monkeypatch, tmp_path):
    """A method's network is trained as it says, in place of fine-tuning; some seconds of work, so that clocks know."""
    job = import_module("_rivals_job")

    def work(network: nn.Module) -> None:
        end = process_time() + 2
        while process_time() < end:
            pass
        nn.init.zeros_(network.classifier.weight)  # type: ignore[arg-type,union-attr]

    def find(given: Any, limit: Any) -> Any:
        return job.Found(deepcopy(given.model), train=work)

    rivals = only(monkeypatch, thinner=lambda m: replace(m, find=find))
    file = tmp_path / "rows.jsonl"
    rivals.main([*TINY, "--budgets", "100%", "--methods", "thinner", "--out", str(file)])
    (row,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert row["training_seconds"] > 1.5 > 1 > row["search_seconds"]
    assert row["test"] < 0.2, "of ten classes one, whatever the image is"


def test_seeds_that_choose_settings_are_in_no_figure(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit):
        only(monkeypatch).main([*TINY, "--seeds", "0", "1", "--out", str(tmp_path / "rows.jsonl")])
    assert "seeds [1] choose settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "budget", "besides"),
    [
        ("70%", {"madds": "70.0000%"}, {}),
        ("eager_1=0.5", {"latency": "50.0000%"}, {"runtime": "eager"}),
        ("onnxruntime_32=12.5%", {"batch_latency": "12.5000%"}, {"runtime": "onnxruntime"}),
    ],
)
def test_limits_are_of_madds_or_of_time(benchmarks, text, budget, besides):
    limit = import_module("_rivals_limits").Limit.read(text)
    assert limit.for_optimize == (budget, besides)
    assert limit.read(str(limit)) == limit


@pytest.mark.parametrize("wrong", ["eager=50%", "eager_1=", "eager_1=0%", "=50%=", "params=50%"])
def test_other_limits_are_one_line(monkeypatch, capsys, wrong):
    with pytest.raises(SystemExit):
        only(monkeypatch).main(["--budgets", wrong])
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be a share of" in line


@pytest.mark.parametrize(
    ("share", "found"), [(0.5, 0.4), (0.45, 0.35), (0.3, 0.2), (1.0, 0.9), (0.25, None), (0.05, None)]
)
def test_the_largest_network_that_is_fast_enough(benchmarks, monkeypatch, share, found):
    """Of a method that makes none below a fifth of the MAdds; a network takes a tenth more of the time than of them."""
    limits = import_module("_rivals_limits")
    monkeypatch.setattr(limits.Limit, "_taken", lambda limit, network, job: network)

    def find(limit: Any) -> Any:
        if limit.share < 0.2:
            raise ValueError("too small")
        return import_module("_rivals_job").Found(round(limit.share + 0.1, 4), evaluations=round(100 * limit.share))

    limit = limits.Limit(share, "eager_1")
    if found is None:
        with pytest.raises(ValueError, match="too small"):
            limit.within_time(None, find)
    else:
        assert limit.within_time(None, find).evaluations == round(100 * found)


def test_training_as_long_as_natrl_needs_its_row(monkeypatch, tmp_path, capsys):
    file = tmp_path / "rows.jsonl"
    only(monkeypatch).main([*TINY, "--methods", "original", "thinner-seconds", "--out", str(file)])
    assert "thinner-seconds is left out: it needs additive and thinner at 60%" in capsys.readouterr().err
    assert len(file.read_text().splitlines()) == 1


def test_madds_are_those_of_a_sum_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 16, 10)).train()
    assert import_module("_rivals_measuring").madds(network, torch.zeros(2, 3, 4, 4)) == 16 * 27 * 8 + 1280
    assert network.training, "it is left as it was"


def test_the_clock_knows_what_a_child_spent_that_has_ended():
    """A second and more, so that the clock looks while the child works."""
    clock = import_module("_rivals_measuring").Clock()
    work = "import time\nwhile time.process_time() < 1.2: pass"
    with clock:
        subprocess.run([sys.executable, "-c", work], check=True)
    assert clock.seconds > 0.6
