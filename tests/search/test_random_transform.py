"""Random transformations of a given cost."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import natrl
from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.core.transitions import Rule
from natrl.evaluation import Evaluator
from natrl.evaluation.base import FailedEvaluations
from natrl.search import random_transform, Reachable
from natrl.search.random_transform import best_of_random, cost_matched_random, random_transforms
from natrl.spaces import Space
from tests.modules.networks import Residual
from tests.search.problems import nasbench201, reachable, SPACE


class NoOther(Space):
    """Every slot holds what it must hold."""

    name, primitives, n_slots, skeleton = "no-other", ("max_pool_3x3",), 6, SPACE.skeleton

    def sample(self, rng: np.random.Generator) -> Architecture:
        return nasbench201("444444").with_operations(["max_pool_3x3"] * 6)


def test_random_transforms_are_valid_and_of_every_size():
    original = nasbench201("333333")
    found = random_transforms(SPACE, original, 3000, np.random.default_rng(0))
    assert set(found) <= reachable(original)
    changes = np.bincount([len(original.changes(a)) for a in found], minlength=7) / len(found)
    assert (changes > 0.03).all()


def nearest(original: Architecture, madds: int, rule: Rule = "nat++") -> set[Architecture]:
    """By brute force: of what is reachable and computes another function, all that is nearest in MAdds."""
    others = [a for a in reachable(original, rule) if function_key(a) != function_key(original)]
    distances = [abs(SPACE.cost(a).madds - madds) for a in others]
    return {a for a, distance in zip(others, distances, strict=True) if distance == min(distances)}


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("digits", "share"), [("334423", 1.0), ("332112", 0.8), ("434310", 0.4)])
def test_the_draw_is_uniform_among_the_others_of_nearest_cost(digits, share, listed, monkeypatch):
    """Chi-square over 200 seeds, where all choices are listed and where levels are drawn from."""
    monkeypatch.setattr(random_transform, "MOST_LISTED", 2**14 if listed else 1)
    original = nasbench201(digits)
    madds = int(share * SPACE.cost(original).madds)
    expected = nearest(original, madds)
    drawn = Counter(cost_matched_random(SPACE, original, madds, seed) for seed in range(200))
    assert set(drawn) <= expected
    if len(expected) > 1:
        assert chisquare([drawn[a] for a in expected]).pvalue > 1e-3


def test_the_check_of_uniformity_notices_a_preference():
    """The most alike to the original first, as draws that change a share of the slots prefer them."""
    original = nasbench201("332112")
    expected = nearest(original, int(0.8 * SPACE.cost(original).madds))
    drawn = Counter()
    for a in random_transforms(SPACE, original, 5_000, np.random.default_rng(0)):
        drawn[a] += a in expected
    assert chisquare([drawn[a] for a in expected]).pvalue < 1e-4


FEW_CHOICES = st.text("01234", min_size=6, max_size=6).filter(lambda digits: digits.count("3") < 4)


@given(digits=FEW_CHOICES, share=st.floats(0, 1), rule=st.sampled_from(["nat", "nat++"]))
@settings(max_examples=25, deadline=None)
def test_the_original_is_drawn_only_where_there_is_no_other(digits, share, rule):
    original = nasbench201(digits)
    madds = int(share * SPACE.cost(original).madds)
    drawn = cost_matched_random(SPACE, original, madds, 0, rule=rule)
    others = {a for a in reachable(original, rule) if a != original}
    if any(function_key(a) != function_key(original) for a in others):
        assert drawn in nearest(original, madds, rule)
    else:
        assert drawn in (others or {original})
    assert drawn.is_live or not original.is_live
    assert SPACE.cost(drawn) <= SPACE.cost(original)


@given(
    space=st.sampled_from(["darts", "enas", "nao"]),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    cost=st.sampled_from(["strict", "live"]),
)
@settings(max_examples=20, deadline=None)
def test_in_large_spaces_it_is_another_live_one_that_costs_no_more(space, seed, share, cost):
    space = natrl.space(space)
    original = space.sample(np.random.default_rng(seed))
    madds = int(share * space.cost(original).madds)
    drawn = cost_matched_random(space, original, madds, seed, cost=cost)
    assert drawn.is_live
    assert function_key(drawn) != function_key(original)
    assert space.cost(drawn) <= space.cost(original)
    assert drawn == cost_matched_random(space, original, madds, seed, cost=cost)


@pytest.mark.parametrize("name", ["DARTS", "VGG", "ResBlock", "Mobilenetv2", "ENAS"])
def test_what_costs_as_much_as_the_original_is_not_the_original(name):
    """The demo's rows in which the policy saves nothing: each has others of exactly its cost."""
    original = natrl.parse(name)
    space = natrl.space("enas" if name == "ENAS" else "darts")
    madds = space.cost(original).madds
    drawn = {cost_matched_random(space, original, madds, seed) for seed in range(3)}
    assert original not in drawn
    assert len(drawn) > 1
    assert {space.cost(a).madds for a in drawn} == {madds}


def test_where_nothing_can_change_the_original_remains():
    space = NoOther()
    original = space.sample(np.random.default_rng(0))
    assert cost_matched_random(space, original, 0, 0) == original


def test_a_users_network_is_matched_too():
    """Its unused parts are dropped after the choice, so the cost is that of what is left."""
    space = natrl.from_module(Residual(), torch.zeros(1, 3, 16, 16))
    madds = int(0.6 * space.cost(space.architecture).madds)
    drawn = {cost_matched_random(space, space.architecture, madds, seed) for seed in range(8)}
    assert max(abs(space.cost(a).madds - madds) for a in drawn) < 0.02 * madds
    assert space.architecture not in drawn
    assert all(space.prune(a) == a and a.is_live for a in drawn)
    assert all(space.cost(a) <= space.cost(space.architecture) for a in drawn)


def test_what_becomes_unused_in_a_users_network_is_null():
    """Two candidates never build the same network."""
    space = natrl.from_module(Residual(), torch.zeros(1, 3, 16, 16))
    box = Reachable(space, space.architecture)
    drawn = random_transforms(space, space.architecture, 300, np.random.default_rng(0))
    drawn += box.sample(300, np.random.default_rng(1))
    cut = space.with_operations({"conv2": "null"})
    assert space.operations(space.prune(cut))["conv1"] == "null"
    drawn += box.neighbours(space.architecture)
    assert any(space.operations(a)["conv2"] == "null" for a in drawn)
    assert all(space.prune(a) == a for a in drawn)


def test_the_best_of_random_ones_keeps_to_the_budget_and_has_the_highest_score():
    space = natrl.from_module(Residual(), torch.zeros(1, 3, 16, 16))
    original, asked = space.architecture, []

    class Parameters(Evaluator):
        """The more, the better."""

        def evaluate(self, architectures):
            asked.extend(architectures)
            return np.array([float(space.cost(a).params) for a in architectures])

    madds = 0.6 * space.cost(original).madds
    found = best_of_random(space, original, Parameters(), madds=madds, scores=10, seed=0)
    assert len(asked) == len(set(asked)) == 10
    assert all(space.cost(a).madds <= madds for a in asked)
    assert space.cost(found).params == max(space.cost(a).params for a in asked)
    with pytest.raises(ValueError, match="none of 1,024 random transformations has at most 0 MAdds"):
        best_of_random(space, original, Parameters(), madds=0, scores=10, seed=0)


def test_random_ones_that_cannot_be_scored_are_left_out():
    space = natrl.from_module(Residual(), torch.zeros(1, 3, 16, 16))

    class Failing(Evaluator):
        """Scores the first one alone, if any."""

        def __init__(self, scored):
            self.scored = scored

        def evaluate(self, architectures):
            scores = np.where(np.arange(len(architectures)) < self.scored, -1.0, np.nan)
            self.first = architectures[0]
            raise FailedEvaluations({a.key: "not finite" for a in architectures[self.scored :]}, scores)

    def drawn(evaluator):
        return best_of_random(space, space.architecture, evaluator, madds=1e9, scores=5, seed=0)

    assert drawn(evaluator := Failing(1)) == evaluator.first
    with pytest.raises(ValueError, match="none of 5 random transformations can be scored"):
        drawn(Failing(0))
