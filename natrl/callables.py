"""What a function of the user's returns, named as "module:function"."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

__all__ = ["find_function", "remember", "returned_by"]

_REMEMBERED: dict[str, Callable[..., Any]] = {}


def remember(target: str, function: Callable[..., Any]) -> None:
    """Makes "module:function" known in this process, a Ray worker, that cannot import the module."""
    _REMEMBERED[target] = function


def returned_by(target: str, what: str) -> Any:
    """What "module:function" returns when it is called without arguments; the current folder is on the path meanwhile.

    ValueError in one line, which begins with `what` is wanted, where there is no such function.
    """
    function = find_function(target, what)
    with _current_folder_on_path():
        return function()


def find_function(target: str, what: str) -> Callable[..., Any]:
    """The function "module:function", looked for in the current folder too. ValueError as `returned_by` says."""
    if target in _REMEMBERED:
        return _REMEMBERED[target]
    module, _, name = target.partition(":")
    with _current_folder_on_path():
        try:
            function = getattr(import_module(module), name, None)
        except (ModuleNotFoundError, ValueError) as error:
            raise ValueError(f"{what} {target!r}: {error} (in {os.getcwd()} or on Python's path)") from None
        if not callable(function):
            found = "nothing" if function is None else type(function).__name__
            raise ValueError(f"{what} {target!r}: expected a function {name!r} in module {module!r}, got {found}")
        return function


@contextmanager
def _current_folder_on_path() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
