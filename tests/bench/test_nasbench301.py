"""NAS-Bench-301's surrogate: against the ONNX runtime's own reading of the file, and what is no such file."""

from __future__ import annotations

import numpy as np
import pytest

import natrl
from natrl.bench import Bench, Plan
from natrl.bench.climbing import climb
from natrl.bench.nasbench301 import PredictedTruth
from natrl.evaluation.nasbench301 import _codes as codes
from natrl.evaluation.nasbench301 import SurrogateFile
from natrl.report.bench import bench_tables, SURROGATE_NOTE
from natrl.search import Reachable
from natrl.spaces import Batch
from tests.commands.cli import error

SPACE = natrl.space("darts301")
ARCHS = [SPACE.sample(np.random.default_rng(i)) for i in range(20)]


@pytest.fixture(scope="module")
def file(natrl_data):  # type: ignore[no-untyped-def]
    return SurrogateFile(natrl_data / "nasbench301_yahpo.onnx")


def test_accuracies_are_those_that_the_onnx_standard_gives(file):  # type: ignore[no-untyped-def]
    """The package onnx computes a graph operator by operator."""
    reference = pytest.importorskip("onnx.reference").ReferenceEvaluator(str(file.path))
    batch = Batch.of(SPACE, ARCHS[:3])
    for i, row in enumerate(codes(batch).astype(np.int32)):
        percent, _ = reference.run(None, {"x_cat": row[None], "x_cont": np.full((1, 1), 98, np.float32)})[0][0]
        assert file.accuracies(batch)[i] == pytest.approx(percent / 100, abs=2e-7)


def test_integers_are_those_of_the_published_encoding(file, natrl_data):  # type: ignore[no-untyped-def]
    import json

    document = json.loads((natrl_data / "nasbench301_yahpo_encoding.json").read_text())
    known = {name.rpartition("_COLON_")[2]: values for name, values in document.items()}
    for a, row in zip(ARCHS, codes(Batch.of(SPACE, ARCHS)).tolist(), strict=True):
        expected = dict.fromkeys((f"edge_{c}_{i}" for c in ("normal", "reduce") for i in range(14)), "#na#")
        inputs: dict[tuple[str, int], list[int]] = {}
        for slot, op in zip(a.slots, a.operations, strict=True):
            expected[f"edge_{slot.cell}_{[0, 0, 0, 2, 5, 9][slot.target] + slot.source}"] = op
            inputs.setdefault((slot.cell, slot.target), []).append(slot.source)
        for c in ("normal", "reduce"):
            for node in (3, 4, 5):
                expected[f"inputs_node_{c}_{node}"] = "_".join(map(str, sorted(inputs[c, node])))
        assert row == [known[name][value] for name, value in expected.items()]


def test_noise_stays_with_an_architecture_and_follows_the_seed(file):  # type: ignore[no-untyped-def]
    truth = PredictedTruth(file, noise=0.17)
    many = list(truth.initial(0).training[:400])
    exact = PredictedTruth(file).evaluator().evaluate(many)
    first, again, other = (truth.evaluator(seed).evaluate(many) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.std(first - exact) == pytest.approx(0.0017, rel=0.15)
    assert abs(np.corrcoef(first - exact, other - exact)[0, 1]) < 0.15


def test_steepest_ascent_ends_where_no_change_of_a_slot_helps(file):  # type: ignore[no-untyped-def]
    found = climb(Batch.of(SPACE, ARCHS[:2]), file.accuracies)
    for before, after in zip(ARCHS, found, strict=False):
        others = Reachable(SPACE, before).neighbours(after)
        own, *theirs = file.accuracies(Batch.of(SPACE, [after, *others]))
        assert own >= max(theirs)
        assert natrl.space("darts301").cost(after) <= SPACE.cost(before)


def test_every_table_says_that_nothing_was_trained(file):  # type: ignore[no-untyped-def]
    plan = Plan((PredictedTruth(file, noise=0.17),), ("identity", "additive", "model-search"), 60, seeds=1)
    runner = Bench(plan)
    rows = [row.to_dict() for job in plan.jobs() for row in runner.run(job)[0]]
    by_method = {row["method"]: row for row in rows}
    assert by_method["identity"]["capture_argmax"] == 0
    assert by_method["model-search"]["capture_argmax"] > 0.5
    assert by_method["model-search"]["queries"] == 60
    assert all("(surrogate)" in row["dataset"] for row in rows)
    assert SURROGATE_NOTE in [str(part) for part in bench_tables(rows).renderables]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nasbench301 needs --model FILE"),
        (["--model", "{}/model_v2.onnx"], "model_v2.onnx agrees poorly with trained networks"),
        (["--model", "{}/other.onnx"], "cannot be read as an ONNX file"),
        (["--model", "{}/missing.onnx"], "missing.onnx"),
        (["--model", "{}/other.onnx", "--report", "test"], "--report does not go with this"),
    ],
)
def test_other_files_are_refused(capsys, tmp_path, options, message):  # type: ignore[no-untyped-def]
    for name in ("model_v2.onnx", "other.onnx"):
        (tmp_path / name).write_bytes(b"no such file")
    given = [option.format(tmp_path) for option in options]
    assert message in error(capsys, "bench", "nasbench301", *given, "--methods", "identity")


def test_a_graph_of_another_layout_is_refused(tmp_path):  # type: ignore[no-untyped-def]
    import onnx

    flat = [onnx.numpy_helper.from_array(np.zeros(3), f"embds_fct.{i}.weight") for i in range(34)]
    for weights in ([], flat):
        node = onnx.helper.make_node("Identity", ["a"], ["b"])
        graph = onnx.helper.make_graph([node], "g", [], [], initializer=weights)
        onnx.save(onnx.helper.make_model(graph), str(tmp_path / "small.onnx"))
        with pytest.raises(ValueError, match="is not NAS-Bench-301's surrogate"):
            SurrogateFile(tmp_path / "small.onnx")


def test_a_missing_file_is_said_to_be_which(tmp_path):  # type: ignore[no-untyped-def]
    with pytest.raises(
        ValueError, match=r"cannot be read: No such file or directory; it is nb301/model\.onnx of https"
    ):
        SurrogateFile(tmp_path / "nasbench301_yahpo.onnx")


def test_bad_noise_and_what_cannot_be_listed(file):  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"from 0 to 10 points, got -0\.1"):
        PredictedTruth(file, noise=-0.1)
    with pytest.raises(ValueError, match="'darts301' is too large to list: leave it out"):
        Plan((PredictedTruth(file),), ("ceiling",), 100)
