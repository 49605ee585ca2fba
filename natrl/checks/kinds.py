"""Whether an object is what its place needs: of a class, derived from one, complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Adapt", "complete_class", "described", "instance_of", "subclass_of", "with_functions"]

T = TypeVar("T")
Adapt = Callable[[Any], T]  # an object as its place needs it; ValueError "expected …, got …"


def described(found: Any) -> str:
    """What it is, in words: "the class X", "a value of int"."""
    return f"the class {found.__name__}" if isinstance(found, type) else f"a value of {type(found).__name__}"


def instance_of(kind: type) -> Adapt[Any]:
    """Objects of a class."""

    def adapt(found: Any) -> Any:
        if isinstance(found, kind):
            return found
        call = f", {found.__name__}() is an object of it" if isinstance(found, type) and issubclass(found, kind) else ""
        raise ValueError(f"expected an object of {kind.__module__}.{kind.__name__}, got {described(found)}{call}")

    return adapt


def subclass_of(kind: type) -> Adapt[Any]:
    """Classes that are derived from a class, and define all that it leaves open."""

    def adapt(found: Any) -> Any:
        if isinstance(found, type) and issubclass(found, kind):
            return complete_class(found)
        raise ValueError(f"expected a class derived from {kind.__module__}.{kind.__name__}, got {described(found)}")

    return adapt


def complete_class(found: type, *methods: str) -> type:
    """The class. ValueError where it lacks one of these methods, or one that its base leaves open."""
    missing = [name for name in methods if not callable(getattr(found, name, None))]
    missing += sorted(getattr(found, "__abstractmethods__", ()))
    if missing:
        raise ValueError(f"the class {found.__name__} does not define {', '.join(missing)}")
    return found


def with_functions(record: T, *fields: str) -> T:
    """The record. ValueError where one of these fields is nothing to call."""
    for name in fields:
        if not callable(value := getattr(record, name)):
            raise ValueError(f"{name} of a {type(record).__name__} must be a function, got {described(value)}")
    return record
