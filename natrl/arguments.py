"""Arguments of public functions are what their annotations say, or are refused in one line that names them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from reprlib import repr as short
from typing import Any, get_args, get_origin, get_type_hints, Literal, TypeVar, Union

__all__ = ["checked"]

F = TypeVar("F", bound=Callable[..., Any])

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "True or False", type(None): "None"}


def checked(function: F) -> F:
    """The function, which raises ValueError where an argument is of another type than its annotation says.

    An int or a float may be numpy's, an int serves as a float; which numbers there are the function says. Sequences and
    mappings are looked through; what is annotated by a name that only type checkers import is left to the function.
    """
    names = tuple(inspect.signature(function).parameters)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        hints = _hints(function)
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            if name in hints and not _fits(value, hints[name]):
                label = function.__qualname__.removesuffix(".__init__")
                raise ValueError(f"{label}: {name} must be {_words(hints[name])}, got {_shown(value)}")
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


@cache
def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations that can be resolved, by parameter."""
    space = {**vars(inspect.getmodule(function))}
    found = {}
    for name, annotation in function.__annotations__.items():
        if name != "return":
            holder = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                found.update(get_type_hints(holder, space))
            except NameError:
                continue
    return found


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, tuple(type(choice) for choice in parts))  # which ones there are, the function says
    if origin is None:
        return not isinstance(hint, type) or isinstance(value, hint)
    return isinstance(value, origin) and _items_fit(value, origin, parts)


def _items_fit(value: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    if issubclass(origin, Mapping):
        return all(_fits(k, parts[0]) and _fits(v, parts[1]) for k, v in value.items())
    if origin is tuple and parts[-1:] != (...,):
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if issubclass(origin, Sequence):
        return not (isinstance(value, str) and origin is not str) and all(_fits(item, parts[0]) for item in value)
    return True


def _words(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, parts)))
    if origin is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a mapping of {_words(parts[0])} to {_words(parts[1])}"
    if origin is not None and issubclass(origin, Iterable) and parts:
        return f"a sequence ({_words(parts[0])})"
    hint = origin or hint
    return _WORDS.get(hint) or str(getattr(hint, "__name__", hint))


def _shown(value: Any) -> str:
    return f"{short(value)} ({type(value).__name__})"
