"""natrl demo --quick: the whole path with a tenth of the training. Takes about a minute on two cores."""

from __future__ import annotations

import json

from safetensors.torch import load_file

from natrl import build_network, parse
from natrl.core.isomorphism import function_key
from natrl.report.results import read_results
from natrl.report.scores import read_candidates
from natrl.spaces import network_cost
from tests.commands.cli import output


def test_the_whole_path(ray_session, capsys, tmp_path):
    run = tmp_path / "demo"
    text = output(capsys, "demo", "--quick", "--seeds", 2, "--out", run)
    results = read_results(run / "results.json")
    assert set(results.names) >= {"VGG", "ResBlock", "Mobilenetv2", "DARTS", "ENAS"}
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
    chosen = results.row("ENAS", "transformed").architecture
    assert chosen.key in set(scores.rows.loc[scores.rows["name"] == "ENAS", "architecture"])
    assert parse(run / "models" / "ENAS" / "architecture.json") == chosen
    weights = load_file(run / "models" / "ENAS" / "model.safetensors")
    assert weights.keys() == build_network(chosen, results.skeleton).state_dict().keys()
    for picture in ("before.png", "after.png"):
        assert (run / picture).read_bytes().startswith(b"\x89PNG")
