"""natrl demo --quick: the three acts with a tenth of the training. Takes half a minute on two cores."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
from safetensors.torch import load_file
from torch.utils.data import Subset

from natrl import build_network, parse
from natrl.core.isomorphism import function_key
from natrl.data import load_data
from natrl.demo.acts import PLAYED
from natrl.demo.digits import Digits
from natrl.demo.network import network
from natrl.demo.settings import NetworkSettings, settings_of
from natrl.evaluation.ledger.file import read_ledger
from natrl.evaluation.table import nasbench201_accuracies
from natrl.report.results import read_results
from natrl.report.scores import read_candidates
from natrl.runs.directory import ledger_file, read_config
from natrl.spaces import network_cost
from natrl.timing.latency import measure_latency
from tests.commands.cli import error, output


def test_the_three_acts(ray_session, capsys, tmp_path, monkeypatch):
    quickly = partial(measure_latency, rounds=1, min_seconds=0.001)
    for module in ("natrl.demo.network", "natrl.tuning.optimize.budgets"):
        monkeypatch.setattr(f"{module}.measure_latency", quickly)
    monkeypatch.setattr(Digits.__init__, "__defaults__", (16,))  # channels
    monkeypatch.setattr("natrl.demo.cells.load_data", few_images)
    text = output(capsys, "demo", "--quick", "--seeds", 2, "--out", tmp_path / "demo")
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["cells", "network", "truth"]
    check_truth(tmp_path / "demo" / "truth", text)
    check_network(tmp_path / "demo" / "network", text)
    check_cells(tmp_path / "demo" / "cells", text)
    for picture in ("truth/truth", "truth/front", "network/network", "cells/before", "cells/after"):
        assert (tmp_path / "demo" / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_a_budget_that_random_search_cannot_keep_to_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    """A second: the network is traced."""
    monkeypatch.setattr("natrl.demo.network.fit", None)
    with pytest.raises(ValueError, match=r"none of 1,024 random transformations has at most .* the cheapest has"):
        network(NetworkSettings(budget=0.00001), tmp_path)
    assert not list(tmp_path.iterdir())


def few_images(name, **said):
    """A quarter of each split."""
    data = load_data(name, **said)
    parts = ((split, getattr(data, split)) for split in ("train", "validation", "test"))
    return replace(data, **{split: Subset(part, range(0, len(part), 4)) for split, part in parts})


def check_truth(folder, text):
    """Against the published trainings; what is held out has started no episode, and budgets are kept."""
    found = json.loads((folder / "truth.json").read_text())
    trained = nasbench201_accuracies("cifar10")
    settings = read_config(folder / "run")["settings"]
    held_out = [parse(a) for a in found["held_out"]]
    starts = {function_key(parse(a)) for a in settings["initial"]}
    assert len(held_out) == 10
    assert not starts & {function_key(a) for a in held_out}
    paid = read_ledger(ledger_file(folder / "run"))
    answers = {(a["method"], a["budget"]): a for a in found["answers"]}
    assert {method for method, _ in answers} == {"natrl", "random", "local-search", "best"}
    assert answers["natrl", 1.0]["evaluations"] == len(paid) <= 100
    for (_, budget), answer in answers.items():
        after = [parse(a) for a in answer["after"]]
        for before, a, share, gain in zip(held_out, after, answer["shares"], answer["gains"], strict=True):
            assert network_cost(a).madds <= budget * network_cost(before).madds
            assert share <= budget
            mean = [sum(others) / len(others) for _, *others in (trained[before], trained[a])]
            assert gain == pytest.approx(mean[1] - mean[0])
    best, mine = answers["best", 1.0], answers["natrl", 1.0]
    first = {a: values[0] for a, values in trained.items()}
    for one, other in zip(best["after"], mine["after"], strict=True):
        assert first[parse(one)] >= first[parse(other)]
    assert "of 15,625 trainings changed 10 architectures" in " ".join(text.split())


def check_network(folder, text):
    rows = json.loads((folder / "network.json").read_text())["networks"]
    names = [row["name"] for row in rows]
    assert names == [
        "the original",
        "fine-tuned alike",
        "random search",
        "natrl, additive",
        "natrl, a policy",
    ]
    assert all(row["madds"] <= rows[0]["madds"] / 2 for row in rows[2:])
    assert all(row["accuracy"] > 0.5 for row in rows)
    assert all(row["evaluations"] > 0 for row in rows[2:])
    assert (folder / "policy" / "report.html").is_file()
    assert "third.0" in text


def check_cells(run, text):
    results = read_results(run / "results.json")
    assert set(results.names) >= {"VGG", "Mobilenetv2", "DARTS"}
    assert len(results.rows) == 3 * len(results.names)
    for name in results.names:
        assert name in text
        original, transformed, random = (results.row(name, v) for v in ("original", "transformed", "random"))
        assert network_cost(transformed.architecture, results.skeleton) <= network_cost(
            original.architecture, results.skeleton
        )
        assert transformed.architecture.is_live
        assert random.architecture.is_live
        assert random.madds <= original.madds
        assert function_key(random.architecture) != function_key(original.architecture)
        assert len(original.test) == len(original.validation) == 2
    assert results.metric == "test"
    assert results.correlation is not None
    assert json.loads((run / "config.json").read_text())["settings"]["evaluator"]["actors"] == 2
    assert (run / "report.html").is_file()
    scores = read_candidates(run / "candidates.json")
    assert scores.names == list(results.names)
    assert set(scores.rows["method"]) == {"original", "policy"}
    chosen = results.row("DARTS", "transformed").architecture
    assert chosen.key in set(scores.rows.loc[scores.rows["name"] == "DARTS", "architecture"])
    assert parse(run / "models" / "DARTS" / "architecture.json") == chosen
    weights = load_file(run / "models" / "DARTS" / "model.safetensors")
    assert weights.keys() == build_network(chosen, results.skeleton).state_dict().keys()


def test_what_cannot_be_played(capsys, tmp_path):
    assert "unknown act 'truths'; known: truth, network, cells" in error(capsys, "demo", "truths")
    assert "--data does not go with this: truth has no use for it" in error(capsys, "demo", "truth", "--data", "digits")
    assert "seeds must be at least 2" in error(capsys, "demo", "cells", "--seeds", 1, "-o", tmp_path / "out")
    assert "unknown data 'nonsense'" in error(capsys, "demo", "--data", "nonsense", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_go_where_they_belong():
    found = settings_of({"seed": 7, "actors": 3, "seeds": 4})
    assert [*found] == [*PLAYED]
    assert [found[name].seed for name in PLAYED] == [7, 7, 7]
    assert (found["network"].actors, found["cells"].actors, found["cells"].seeds) == (3, 3, 4)
