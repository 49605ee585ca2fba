"""results.json: equal after writing and reading; one line that says what is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from natrl import network_cost, zoo
from natrl.report.results import Correlation, read_results, Trained, write_results
from natrl.spaces import live_cost
from tests.report.examples import changed, SKELETON, small_results


def test_written_and_read_are_equal(tmp_path):
    results = small_results()
    precise = replace(results.rows[0], test=(1 / 3, 0.1 + 0.2))
    results = replace(results, rows=(precise, *results.rows[1:]))
    path = write_results(results, tmp_path / "results.json")
    assert read_results(path) == results
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_the_document_is_as_agreed(tmp_path):
    document = json.loads(write_results(small_results(), tmp_path / "results.json").read_text())
    assert (document["format"], document["version"]) == ("natrl.results", 1)
    assert set(document["rows"][0]) == {
        "name", "variant", "architecture", "params", "madds", "live_params", "live_madds", "validation", "test",
    }  # fmt: skip
    assert document["skeleton"]["channels"] == 8
    assert set(document["correlation"]) == {"n", "pairs", "spearman", "kendall", "spearman_madds"}
    assert small_results(correlation=False).to_dict()["correlation"] is None


def test_measured_rows_carry_both_costs():
    row = Trained.measured("VGG", "original", zoo()["VGG"], SKELETON, validation=(0.5,))
    cost, live = network_cost(zoo()["VGG"], SKELETON), live_cost(zoo()["VGG"], SKELETON)
    assert (row.params, row.madds, row.live_params, row.live_madds) == (
        cost.params, cost.madds, live.params, live.madds,
    )  # fmt: skip
    assert row.live_madds < row.madds


def test_rank_correlations_by_hand():
    # trained accuracies rank 1 3 2 against 1 2 3: ρ = 1 − 6·2/(3·8) = 0.5, τ = (2 − 1)/3; MAdds rank 3 2 1: ρ = −0.5
    correlation = Correlation.of([(0.1, 0.5, 3e5), (0.2, 0.7, 2e5), (0.3, 0.6, 1e5)])
    assert correlation.spearman == pytest.approx(0.5)
    assert correlation.kendall == pytest.approx(1 / 3)
    assert correlation.spearman_madds == pytest.approx(-0.5)


def test_undefined_rank_correlations_are_none(tmp_path):
    correlation = Correlation.of([(0.1, 0.5, 3e5), (0.1, 0.7, 2e5)])
    assert correlation.spearman is None
    assert correlation.kendall is None
    path = write_results(replace(small_results(), correlation=correlation), tmp_path / "results.json")
    assert read_results(path).correlation == correlation


def test_test_accuracies_are_reported_only_where_all_rows_have_them():
    results = small_results()
    assert results.metric == "test"
    assert replace(results, rows=(replace(results.rows[0], test=()), *results.rows[1:])).metric == "validation"


def edit(path: str, value: object):
    """A document with one field changed; the path is "rows.0.test"; ... removes it."""
    document = json.loads(json.dumps(small_results().to_dict()))
    *parents, last = path.split(".")
    place = document
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "other", 'not results: "format" must be "natrl.results"'),
        ("version", 2, "results version 2 is unknown"),
        ("rows", ..., "'rows' is missing"),
        ("rows.1", 7, "row 1: expected an object, got 7"),
        ("rows.0.madds", "many", "row 0: 'madds' must be of type int, got 'many'"),
        ("rows.0.madds", True, "row 0: 'madds' must be of type int, got True"),
        ("rows.0.madds", -1, "row 'VGG', original: madds must be at least 0, got -1"),
        ("rows.0.variant", "best", "row 'VGG': unknown variant 'best'; known: original, transformed, random"),
        ("rows.1.variant", "original", "row 'VGG', original: appears twice"),
        ("rows.0.test", [0.5], "row 'VGG', original: test has 1 accuracies for 2 seeds"),
        ("rows.0.validation", [], "row 'VGG', original: validation has 0 accuracies for 2 seeds"),
        ("rows.0.test", [0.5, 1.5], r"row 'VGG', original: test accuracies must be in \[0, 1\], got 1.5"),
        ("rows.0.test", [0.5, None], "row 0: 'test' must hold numbers only, got None"),
        ("rows.0.architecture.cells.0.slots.3.0", "conv_9x9", "row 0: 'VGG', original: .*unknown operation 'conv_9x9'"),
        ("rows.1.architecture", zoo()["DARTS"].to_dict(), "row 'VGG', transformed: its topology differs"),
        ("skeleton.depth", 3, "skeleton: unknown field among .*depth; known: channels, cells"),
        ("skeleton.cells", 0, "skeleton: cells must be a whole number of at least 1, got 0"),
        ("seeds", [0, 0], "seeds must be different numbers"),
        ("seeds", [0, 1.5], "'seeds' must hold numbers only, got 1.5"),
        ("correlation.n", 5, "correlation: n is 5 but there are 3 pairs"),
        ("correlation.pairs.0", [1, 2], "correlation: each of 'pairs' must be"),
        ("versions", [], r"'versions' must be of type dict, got \[\]"),
    ],
)
def test_what_is_malformed_is_said_in_one_line(tmp_path, path, value, message):
    file = tmp_path / "results.json"
    file.write_text(json.dumps(edit(path, value)))
    with pytest.raises(ValueError, match=message) as error:
        read_results(file)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{file}: ")


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "[1, 2]", "\xff"])
def test_what_is_no_results_file_is_refused(tmp_path, text):
    file = tmp_path / "results.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"not JSON|not results|not UTF-8|expected names and their values"):
        read_results(file)
    with pytest.raises(ValueError, match="No such file"):
        read_results(tmp_path / "missing.json")


def test_nothing_wrong_is_written(tmp_path):
    results = small_results()
    wrong = replace(results.rows[0], test=(0.5, math.nan))
    with pytest.raises(ValueError, match="got nan"):
        write_results(replace(results, rows=(wrong,)), tmp_path / "results.json")
    assert not list(tmp_path.iterdir())


def test_rows_of_a_name_share_their_topology():
    results = small_results()
    other = replace(results.rows[1], architecture=changed(zoo()["DARTS"], {0: "null"}))
    with pytest.raises(ValueError, match="topology differs"):
        replace(results, rows=(results.rows[0], other)).validate()
