"""Arguments of public functions against their annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import natrl
from natrl.checks.arguments import checked


@checked
def sample(
    text: str | Path = "",
    *,
    n: int = 1,
    x: float | None = None,
    names: Sequence[str] = (),
    budget: Mapping[str, float | str] | None = None,
    rule: Literal["nat", "nat++"] = "nat",
    build: Callable[[], Any] = dict,
    anything: Any = None,
    size: Missing = None,  # noqa: F821  # what only type checkers import
) -> str:
    """A function."""
    return "called"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": 3}, "text must be text or Path, got 3 (int)"),
        ({"n": 1.5}, "n must be a whole number, got 1.5 (float)"),
        ({"n": True}, "n must be a whole number, got True (bool)"),
        ({"x": "1"}, "x must be a number or None, got '1' (str)"),
        ({"names": "abc"}, "names must be a list (text), got 'abc' (str)"),
        ({"names": ["a", 3]}, "names must be a list (text), got ['a', 3] (list)"),
        ({"budget": {"madds": None}}, "got {'madds': None} (dict)"),
        ({"rule": 3}, "rule must be one of nat, nat++, got 3 (int)"),
        ({"build": 3}, "build must be Callable, got 3 (int)"),
        ({"text": Path}, "(type)"),
    ],
)
def test_what_cannot_be_is_named(arguments, message):
    with pytest.raises(ValueError, match=r"^sample: ") as raised:
        sample(**arguments)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": Path()},
        {"n": np.int64(3)},
        {"x": 3},
        {"x": np.float32(1)},
        {"names": ("a",)},
        {"budget": {"madds": "80%", "params": 1}},
        {"rule": "no rule"},  # the function says which there are
        {"anything": object()},
        {"size": 3},
    ],
)
def test_what_can_be_passes(arguments):
    assert sample(**arguments) == "called"


def test_a_wrong_call_is_pythons_own_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'm'"):
        sample(m=3)


def test_public_functions_are_checked():
    for name in set(natrl.__all__) - {"zoo"}:
        function = getattr(natrl, name)
        if isinstance(function, type):
            continue
        known = ("from_module", "load_data", "operation", "operation_cost", "space")  # they check for themselves
        assert hasattr(function, "__wrapped__") or name in known, name
