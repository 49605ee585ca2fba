"""Random transformations of a given cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import natrl
from natrl.search import Reachable
from natrl.search.random_transform import cost_matched_random, random_transforms
from tests.modules.networks import Residual
from tests.search.problems import nasbench201, reachable, SPACE


def test_random_transforms_are_valid_and_of_every_size():
    original = nasbench201("333333")
    found = random_transforms(SPACE, original, 3000, np.random.default_rng(0))
    assert set(found) <= reachable(original)
    changes = np.bincount([len(original.changes(a)) for a in found], minlength=7) / len(found)
    assert (changes > 0.03).all()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_cost_is_matched(share):
    original = natrl.parse("DARTS")
    space, rng = natrl.space("darts"), np.random.default_rng(0)
    target = int(share * space.cost(original).madds)
    lowest = space.cost(original.with_operations(["null"] * 16)).madds
    matched = cost_matched_random(space, original, max(target, lowest), rng)
    assert matched.is_live
    assert matched != original
    assert abs(space.cost(matched).madds - max(target, lowest)) < 0.05 * space.cost(original).madds
    assert space.cost(matched) <= space.cost(original)


def test_the_cost_of_the_original_is_matched_by_itself_only():
    original = nasbench201("333333")
    cost = SPACE.cost(original).madds
    assert cost_matched_random(SPACE, original, cost, np.random.default_rng(0)) == original
    assert cost_matched_random(SPACE, original, cost - 1, np.random.default_rng(0)) != original


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
