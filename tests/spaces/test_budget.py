"""Limits: numbers, shares as text, and shares as numbers where what is limited is counted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.core.operations import Cost
from natrl.policies.limits import Limits
from natrl.spaces.budget import Budget, limit_of


@given(st.floats(0.001, 0.999), st.integers(1, 10**12))
def test_a_number_below_1_is_a_share_of_what_is_counted(share, reference):
    limit = limit_of("madds", share, reference)
    assert limit == share * reference
    assert limit == pytest.approx(limit_of("madds", f"{100 * share}%", reference))
    assert limit == limit_of("madds", str(share), reference)
    assert limit_of("latency", share, reference, counted=False) == share  # seconds


def test_other_numbers_are_what_they_are():
    assert Budget.of(Cost(1000, 2000), 1500, "10%") == Budget(1500, 100)
    assert Budget.of(Cost(1000, 2000), 0.7, None) == Budget(1400, None)
    assert limit_of("params", 1, 1000) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -1, -0.5, True, "most", "nan%", "inf", "-3%", "80%%", [], {}])
def test_what_is_no_limit_is_refused(value):
    with pytest.raises(ValueError, match="madds must be a number or a share of the original"):
        limit_of("madds", value, 100.0)


def test_budgets_of_networks():
    assert Limits.of({"madds": 0.7, "latency": 0.5}).seconds("latency", 3.0) == 0.5
    for given_, message in (([], "a budget is such as"), ({1: 2}, "unknown budget '1'"), (0.7, "got float")):
        with pytest.raises(ValueError, match=message):
            Limits.of(given_)
