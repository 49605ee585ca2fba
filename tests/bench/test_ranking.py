"""Rank correlations against a table worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import natrl
from natrl.bench.ranking import correlations, draw_different
from natrl.core.isomorphism import function_key

# Of the 10 pairs, the order of `proxy` agrees with `trained` on 8, of `madds` on 1.
TABLE = pd.DataFrame(
    {"trained": [0.1, 0.2, 0.3, 0.4, 0.5], "proxy": [1.0, 3.0, 2.0, 5.0, 4.0], "madds": [50, 40, 30, 10, 20]}
)


def test_coefficients_by_hand():
    result = correlations(TABLE)
    assert result.loc["proxy", "kendall"] == pytest.approx((8 - 2) / 10)
    assert result.loc["proxy", "spearman"] == pytest.approx(1 - 6 * 4 / (5 * 24))
    assert result.loc["madds", "kendall"] == pytest.approx((1 - 9) / 10)
    assert result.loc["madds", "spearman"] == pytest.approx(1 - 6 * (16 + 4 + 0 + 9 + 9) / (5 * 24))


def test_intervals_hold_the_coefficient_and_narrow_with_more_architectures():
    rng = np.random.default_rng(0)
    width = []
    for n in (20, 200):
        trained = rng.random(n)
        table = pd.DataFrame({"trained": trained, "proxy": trained + rng.normal(0, 0.3, n), "madds": rng.random(n)})
        row = correlations(table).loc["proxy"]
        assert row["kendall_low"] < row["kendall"] < row["kendall_high"]
        width.append(row["kendall_high"] - row["kendall_low"])
    assert width[1] < width[0] / 2


def test_a_space_has_only_so_many_functions(monkeypatch):
    monkeypatch.setattr("natrl.bench.ranking.PATIENCE", 1)
    with pytest.raises(ValueError, match=r"space 'nasbench201' gave only \d+ different functions, 9000 were asked for"):
        draw_different(natrl.space("nasbench201"), 9000, np.random.default_rng(0))


def test_what_is_all_equal_orders_nothing():
    result = correlations(TABLE.assign(proxy=0.5))
    assert result.loc["proxy", ["kendall", "kendall_low", "kendall_high", "spearman"]].tolist() == [0, 0, 0, 0]


def test_drawn_architectures_are_live_and_of_different_functions():
    drawn = draw_different(natrl.space("nasbench201"), 300, np.random.default_rng(0))
    assert all(a.is_live for a in drawn)
    assert len({function_key(a) for a in drawn}) == 300
