"""The parameters of a sweep: a setting and the distribution that its values come from, as YAML has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from textwrap import shorten
from typing import Any

from ray import tune

from natrl.files.paths import absolute_settings

__all__ = ["Parameter", "known"]

LISTS = ("choice", "grid")  # any values, of which one or each is tried
RANGES = {  # the names and arguments of ray.tune's functions
    "uniform": ("lower", "upper"),
    "quniform": ("lower", "upper", "step"),
    "loguniform": ("lower", "upper"),
    "qloguniform": ("lower", "upper", "step"),
    "randint": ("lower", "upper"),  # whole numbers below upper
    "qrandint": ("lower", "upper", "step"),
    "lograndint": ("lower", "upper"),
}
LONGEST_LIST = 300  # characters of the names that a message lists
KINDS = (*LISTS, *RANGES)


@dataclass(frozen=True)
class Parameter:
    """The dotted name of a setting ("learn.entropy"), the kind of its distribution and the values of that."""

    name: str
    kind: str
    values: tuple[Any, ...]

    @classmethod
    def read(cls, name: str, document: Any) -> Parameter:
        """From `{kind: [values]}`. ValueError in one line says what is wrong and what would be right."""
        if not isinstance(document, Mapping) or len(document) != 1:
            raise ValueError(f"{name}: expected one of {', '.join(KINDS)} with its values, got {document!r:.60}")
        ((kind, values),) = document.items()
        if kind not in KINDS:
            raise ValueError(f"{name}: unknown distribution {known(kind, KINDS)}")
        if not isinstance(values, list) or not values:
            raise ValueError(f"{name}: {kind} takes a list of values, got {values!r:.60}")
        parameter = cls(name, kind, tuple(values))
        if kind in RANGES:
            parameter._check_range()
        return parameter

    def _check_range(self) -> None:
        whole, expected = self.is_whole, RANGES[self.kind]
        fits = all(isinstance(v, int if whole else (int, float)) and not isinstance(v, bool) for v in self.values)
        if len(self.values) != len(expected) or not fits:
            numbers = "whole numbers" if whole else "numbers"
            raise ValueError(f"{self.name}: {self.kind} takes {numbers} [{', '.join(expected)}], got {[*self.values]}")
        lower, upper, *step = self.values
        if not lower < upper or any(s <= 0 for s in step):
            raise ValueError(f"{self.name}: {self.kind} needs lower < upper and step > 0, got {[*self.values]}")
        if whole and any(bound % s for bound in (lower, upper) for s in step):  # Tune would leave the range
            raise ValueError(f"{self.name}: {self.kind} needs multiples of step, got {[*self.values]}")
        if self.is_logarithmic and lower <= 0:
            raise ValueError(f"{self.name}: {self.kind} needs lower > 0, got {lower}")

    def absolute(self) -> Parameter:
        """The same with absolute paths among its values."""
        return replace(self, values=absolute_settings({self.name: self.values})[self.name])

    def to_dict(self) -> dict[str, list[Any]]:
        """What `read` reads."""
        return {self.kind: list(self.values)}

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return "randint" in self.kind

    @property
    def is_logarithmic(self) -> bool:
        """Whether the values lie evenly on a logarithmic axis."""
        return "log" in self.kind

    @property
    def is_range(self) -> bool:
        """Whether the values come from a range and not from a list."""
        return self.kind in RANGES

    def domain(self) -> Any:
        """The distribution as Tune takes it. ValueError on steps that do not divide the range."""
        function = tune.grid_search if self.kind == "grid" else getattr(tune, self.kind)
        try:
            return function(list(self.values)) if self.kind in LISTS else function(*self.values)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def extremes(self) -> tuple[Any, ...]:
        """All values of a list, the lowest and the highest of a range."""
        if not self.is_range:
            return self.values
        lower, upper = self.values[:2]
        if self.is_whole:
            return lower, upper if self.kind == "qrandint" else upper - 1
        return float(lower), float(upper)

    def clip(self, value: Any) -> Any:
        """The nearest value within the range; a list's are left alone."""
        if not self.is_range:
            return value
        lower, upper = self.extremes()
        return min(max(value, lower), upper)


def known(name: Any, names: Any) -> str:
    """The end of a message about an unknown name: the name, what it might have meant, and those that exist."""
    text = str(name)
    close = [n for n in names if text and n.startswith(text)] or get_close_matches(text, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"{name!r:.60}; {hint}known: {shorten(', '.join(names), LONGEST_LIST, placeholder=' …')}"
