"""Whether a value is what an annotation says, in the range that it declares, and how to say in words what that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, Literal, TypeVar, Union

__all__ = ["Range", "alternatives", "fits", "in_words", "range_of", "refusal"]

_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "names and values",
    type(None): "None",
}


@dataclass(frozen=True)
class Range:
    """From `least` to `most`; `above` and `below` say that the ends are not in it. NaN is in no range."""

    least: float
    most: float
    above: bool = False
    below: bool = False
    words: str = ""  # instead of "at least 1", "above 0" or "at most 10"

    def refusal(self, value: float) -> str:
        """What a value had to be, in words; empty where it is in the range."""
        if not (value > self.least if self.above else value >= self.least):
            return self.words or f"{'above' if self.above else 'at least'} {self.least:,}"
        if not (value < self.most if self.below else value <= self.most):
            return self.words or f"{'below' if self.below else 'at most'} {self.most:,}"
        return ""

    def __str__(self) -> str:
        """All of it in words: "1 to 10", "above 0 to 10"."""
        least, most = f"{'above ' * self.above}{self.least:,}", f"{'below ' * self.below}{self.most:,}"
        return self.words or f"{least} to {most}"


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, one by one, without what they are annotated with."""
    if get_origin(hint) is Annotated:
        return alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for part in get_args(hint) for kind in alternatives(part))
    return (hint,)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type as annotations write it; sequences and mappings are looked through.

    An int or a float may be numpy's, an int serves as a float, and a bool as neither. Of a Literal any value of the
    choices' types fits: which ones there are, its reader says.
    """
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if hint is float or hint is int:
        return isinstance(value, Real if hint is float else Integral) and not isinstance(value, bool)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in (Union, UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, tuple(type(choice) for choice in parts))
    if origin is None:
        return not isinstance(hint, type) or isinstance(value, hint)
    return isinstance(value, origin) and _items_fit(value, origin, parts)


def _items_fit(value: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    if issubclass(origin, Mapping):
        return all(fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items())
    if origin is tuple and parts[-1:] != (...,):
        return len(value) == len(parts) and all(map(fits, value, parts))
    if issubclass(origin, Sequence):
        return not (isinstance(value, str) and origin is not str) and all(fits(item, parts[0]) for item in value)
    return True


def in_words(hint: Any) -> str:
    """What `fits`: "text or Path", "a list (a whole number)", "one of nat, nat++"."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return in_words(parts[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(map(in_words, parts)))
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a mapping of {in_words(parts[0])} to {in_words(parts[1])}"
    if origin is not None and issubclass(origin, Iterable) and parts:
        return f"a list ({in_words(parts[0])})"
    hint = origin or hint
    return _WORDS.get(hint) or str(getattr(hint, "__name__", hint))


def refusal(value: Any, hint: Any, *, in_full: bool = False) -> str:
    """What a value had to be, in words; empty where it fits, and is in the `Range` with which the type is annotated.

    `in_full`: names type and range together.
    """
    bounds = range_of(hint)
    if not fits(value, hint):
        return in_words(hint) + (f" of {bounds.refusal(bounds.least - 1)}" if in_full and bounds else "")
    out = bounds.refusal(value) if bounds and isinstance(value, Real) else ""  # type: ignore[arg-type]
    return f"{in_words(hint)} of {out}" if in_full and out else out


def range_of(hint: Any) -> Range | None:
    """The range that an annotation declares, also inside a union, or beside other annotations."""
    if get_origin(hint) is Annotated:
        bounds = next((extra for extra in get_args(hint)[1:] if isinstance(extra, Range)), None)
        return bounds or range_of(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return next((found for choice in get_args(hint) if (found := range_of(choice))), None)
    return None
