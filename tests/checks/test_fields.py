"""Ranges declared with fields: what is in them is taken, everything else is refused before anything is done."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, get_args, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natrl.checks.fields import check_fields, Count, Decay, field_hints, Range, SEED
from natrl.evaluation.factory import EvaluatorSpec
from natrl.rllib.settings import LearnSettings
from natrl.runs.settings import RunSettings
from natrl.spaces import Skeleton
from natrl.tuning.optimize import OptimizeSettings
from natrl.tuning.sweep.plan import SweepPlan


@dataclass(frozen=True)
class Example:
    count: Count = 1
    rate: Annotated[float, Range(0, 1, above=True)] = 0.5
    decay: Decay = 0.0
    limit: Annotated[float, Range(-1, 1)] | None = None
    names: tuple[str, ...] = ()
    kind: Literal["a", "b"] = "a"
    switch: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "example: ")


@given(st.integers(), st.floats(), st.floats(), st.none() | st.floats())
def test_exactly_what_is_in_the_range_is_taken(count, rate, decay, limit):
    fine = 1 <= count <= 10**9 and 0 < rate <= 1 and 0 <= decay < 1 and (limit is None or -1 <= limit <= 1)
    try:
        Example(count, rate, decay, limit)
    except ValueError:
        assert not fine
    else:
        assert fine


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "example: count must be at least 1, got 0"),
        ({"count": 10**30}, "count must be at most 1,000,000,000, got 1000"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"count": 1.5}, "count must be a whole number, got 1.5"),
        ({"count": None}, "count must be a whole number, got None"),
        ({"rate": 0}, "rate must be above 0, got 0"),
        ({"rate": math.nan}, "rate must be above 0, got nan"),
        ({"rate": math.inf}, "rate must be at most 1, got inf"),
        ({"decay": 1.0}, r"decay must be in \[0, 1\), got 1.0"),
        ({"limit": "x"}, "limit must be a number or None, got 'x'"),
        ({"names": ["a"]}, r"names must be a list \(text\), got"),
        ({"names": (1,)}, r"names must be a list \(text\), got"),
        ({"kind": 3}, "kind must be one of a, b, got 3"),
        ({"switch": 1}, "switch must be true or false, got 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_short_line(values, message):
    with pytest.raises(ValueError, match=message) as caught:
        Example(**values)
    assert len(str(caught.value)) < 150


def ranges(settings, name):
    hint = field_hints(settings)[name]
    parts = (hint, *get_args(hint), *(part for union in get_args(hint) for part in get_args(union)))
    return [x for part in parts for x in getattr(part, "__metadata__", ()) if isinstance(x, Range)]


IMPOSSIBLE = (math.nan, math.inf, -math.inf, -(10**30), 10**30, 1e300, "1", [], {}, True)


@pytest.mark.parametrize("settings", [EvaluatorSpec(), LearnSettings(), Skeleton(), RunSettings(), OptimizeSettings()])
def test_every_number_of_every_setting_refuses_what_cannot_be(settings):
    numbers = [f.name for f in fields(settings) if type(getattr(settings, f.name)) in (int, float)]
    assert numbers
    for name in numbers:
        assert ranges(type(settings), name)
        for value in IMPOSSIBLE:
            with pytest.raises(ValueError, match=f"{name} must be"):
                replace(settings, **{name: value})


@pytest.mark.parametrize("name", ["trials", "concurrent", "seed"])
@pytest.mark.parametrize("value", [0.5, -1, 10**30, math.nan, "many", True])
def test_numbers_of_a_sweep(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        SweepPlan.from_dict({"parameters": {"learn.entropy": {"choice": [0.1]}}, name: value})


def test_a_sweep_has_trials():
    with pytest.raises(ValueError, match="trials must be a whole number, got None"):
        SweepPlan.from_dict({"parameters": {"learn.entropy": {"choice": [0.1]}}, "trials": None})


@given(st.integers(0, 2**32 - 1))
def test_seeds(seed):
    assert RunSettings.from_dict(json.loads(json.dumps(RunSettings(seed=seed).to_dict()))).seed == seed
    assert ranges(RunSettings, "seed") == [SEED]


def test_numbers_of_numpys_become_pythons():
    made = Example(count=np.int64(3), rate=np.float32(0.5), limit=np.float64(1))
    assert json.dumps(asdict(made)) == json.dumps(asdict(Example(3, 0.5, 0.0, 1.0)))
    with pytest.raises(ValueError, match="count must be a whole number"):
        Example(count=np.float32(3))
