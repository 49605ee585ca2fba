"""Settings in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

from annotated_doc import Doc

from natrl.checks.fields import Count, Decay, Positive, Range
from natrl.checks.reference import fields_in_words, is_settings


@dataclass(frozen=True)
class Inner:
    steps: Annotated[Count, Doc("How many.")] = 3
    rate: Annotated[Positive | None, Doc("How fast; None: at once.")] = None


@dataclass(frozen=True)
class Outer:
    size: Annotated[int, Range(2, 8)]
    kind: Annotated[Any, Doc("Which one.")]
    mode: Annotated[Literal["a", "b"], Doc("One of two.")] = "a"
    share: Annotated[Decay, Doc("Of all.")] = 0.5
    inner: Annotated[Inner, Doc("The others.")] = field(default_factory=partial(Inner, steps=4))


@dataclass(frozen=True)
class Record:
    size: int  # of something


def test_a_field_has_its_default_its_range_and_what_it_is():
    assert fields_in_words(Inner) == [
        ("steps", "3", "a whole number, 1 to 1,000,000,000", "How many."),
        ("rate", "None", "a number or None, above 0 to 1,000,000", "How fast; None: at once."),
    ]
    assert fields_in_words(Outer) == [
        ("size", "", "a whole number, 2 to 8", ""),
        ("kind", "", "a name or an object", "Which one."),
        ("mode", "'a'", "one of a, b", "One of two."),
        ("share", "0.5", "a number, in [0, 1)", "Of all."),
        ("inner", "Inner(steps=4)", "Inner", "The others."),
    ]


def test_settings_are_what_says_of_its_fields_what_they_are():
    assert is_settings(Inner)
    assert not is_settings(Record)
    assert not is_settings(Doc("text"))
