"""Arguments of public functions are what their annotations say, or are refused in one line that names them."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from functools import cache, wraps
from reprlib import repr as short
from typing import Any, get_type_hints, TypeVar

from natrl.checks.annotations import refusal

__all__ = ["checked"]

F = TypeVar("F", bound=Callable[..., Any])


def checked(function: F) -> F:
    """The function, which raises ValueError where an argument is not what its annotation says (`annotations.refusal`).

    What is annotated by a name that only type checkers import is left to the function.
    """
    names = tuple(inspect.signature(function).parameters)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        hints = _hints(function)
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            if name in hints and (wanted := refusal(value, hints[name])):
                label = function.__qualname__.removesuffix(".__init__")
                got = f"{short(value)} ({type(value).__name__})"
                raise ValueError(f"{label}: {name} must be {wanted}, got {got}")
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
                found.update(get_type_hints(holder, space, include_extras=True))
            except NameError:
                continue
    return found
