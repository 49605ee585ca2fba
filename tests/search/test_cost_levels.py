"""Draws by cost against all choices, one by one."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from natrl.search import cost_levels
from natrl.search.cost_levels import CostLevels


@given(costs=arrays(np.int64, (4, 3), elements=st.integers(0, 5)), masks=arrays(bool, (4, 3)))
@settings(max_examples=50, deadline=None)
def test_levels_are_the_sums_of_all_choices_and_draws_keep_to_them(costs, masks):
    masks[:, 0] |= ~masks.any(-1)
    choices = product(*(np.flatnonzero(row) for row in masks))
    every = Counter(int(costs[np.arange(4), list(choice)].sum()) for choice in choices)
    levels = CostLevels(costs, masks)
    assert dict(zip(levels.sums.tolist(), levels.shares * every.total(), strict=True)) == pytest.approx(dict(every))
    wanted = levels.sums.repeat(3)
    drawn = levels.draw(wanted, np.random.default_rng(0))
    assert masks[np.arange(4), drawn].all()
    np.testing.assert_array_equal(costs[np.arange(4), drawn].sum(-1), wanted)


def test_draws_of_a_level_are_uniform():
    costs, masks = np.array([[0, 1, 1, 3]] * 3), np.ones((3, 4), dtype=bool)
    members = [c for c in product(range(4), repeat=3) if costs[0, list(c)].sum() == 3]
    drawn = CostLevels(costs, masks).draw(np.full(3000, 3), np.random.default_rng(0))
    counts = Counter(map(tuple, drawn.tolist()))
    assert set(counts) == set(members)
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_many_different_sums_are_rounded(monkeypatch):
    """Twelve binary digits: 4,096 sums, of which 64 are told apart; the cost misses by a few of these steps."""
    monkeypatch.setattr(cost_levels, "MOST_SUMS", 64)
    costs, masks = np.stack([np.zeros(12, dtype=np.int64), 2 ** np.arange(12)], -1), np.ones((12, 2), dtype=bool)
    levels = CostLevels(costs, masks)
    assert 16 < len(levels.sums) <= 64
    wanted = levels.sums[[0, len(levels.sums) // 2, -1]]
    true = costs[np.arange(12), levels.draw(wanted, np.random.default_rng(0))].sum(-1)
    assert np.abs(true - wanted).max() < 4 * 4096 / len(levels.sums)
