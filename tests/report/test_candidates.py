"""candidates.json: means by hand, round trip, and what is malformed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from natrl.report.scores import chance_frame, chosen_frame, read_candidates, write_candidates
from natrl.spaces import network_cost
from tests.report.examples import changed, NASBENCH, SKELETON, small_candidates


def test_the_best_is_chosen_with_the_original_among_them():
    chosen = chosen_frame(small_candidates()).set_index(["name", "method", "choice"])
    original, skipped = NASBENCH.key, changed(NASBENCH, {1: "skip_connect"}).key
    assert chosen.loc[("a", "policy", "best"), "architecture"] == skipped
    assert chosen.loc[("b", "policy", "best"), "architecture"] == original
    assert chosen.loc[("a", "policy", "first"), "gain"] == pytest.approx(0.02)
    madds = [network_cost(changed(NASBENCH, change), SKELETON).madds for change in ({1: "skip_connect"}, {})]
    assert chosen.loc[("a", "policy", "best"), "madds_ratio"] == pytest.approx(madds[0] / madds[1])
    assert chosen.loc[("b", "policy", "best"), "madds_ratio"] == 1


def test_of_equal_scores_the_cheapest_is_chosen():
    scores = small_candidates()
    scores = replace(scores, rows=scores.rows.assign(score=0.5))
    best = chosen_frame(scores).query("choice == 'best' and method == 'policy'")
    costs = [network_cost(changed(NASBENCH, {place: "skip_connect"}), SKELETON).madds for place in (0, 1)]
    assert set(best["architecture"]) == {changed(NASBENCH, {int(np.argmin(costs)): "skip_connect"}).key}


def test_the_comparison_with_chance_by_hand():
    means = chance_frame(small_candidates()).set_index(["choice", "method"])
    gains = {key: round(value, 6) for key, value in means["gain"].items()}
    assert gains == {
        ("first", "policy"): -0.04,
        ("first", "random"): -0.02,
        ("first", "policy − random"): -0.02,
        ("best", "policy"): 0.05,
        ("best", "random"): 0.04,
        ("best", "policy − random"): 0.01,
    }
    # Best, policy − random: +0.04 and −0.02, so the standard deviation is 0.06 / √2 and the error of the mean 0.03.
    assert means.loc[("best", "policy − random"), "error"] == pytest.approx(0.03)
    assert (means["n"] == 2).all()
    assert small_candidates().evaluations == 2


def test_without_random_candidates_there_is_no_comparison():
    scores = small_candidates()
    assert chance_frame(replace(scores, rows=scores.rows[scores.rows["method"] != "random"])).empty


def test_a_file_gives_back_what_was_written(tmp_path):
    scores = small_candidates()
    read = read_candidates(write_candidates(scores, tmp_path / "candidates.json"))
    assert (read.how, read.metric, read.skeleton, read.iteration) == ("table t", "accuracy", SKELETON, 7)
    assert read.rows.equals(scores.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, '"format" must be "natrl.candidates"'),
        ({"metric": "f1"}, "'metric' must be one of accuracy, cross_entropy, got 'f1'"),
        ({"rows": []}, "'rows' must be a list of candidates"),
        ({"rows": [{"name": 3}]}, "row 0: 'name' is missing or of another type, got 3"),
        ({"skeleton": {"layers": 3}}, "skeleton: unknown field"),
        ({"skeleton": 3}, "skeleton: expected an object"),
    ],
)
def test_what_is_malformed_is_named(tmp_path, change, message):
    path = write_candidates(small_candidates(), tmp_path / "candidates.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"candidates\.json: ") as error:
        read_candidates(path)
    assert message in str(error.value)
