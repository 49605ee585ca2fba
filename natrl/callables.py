"""What a function of the user's returns, named as "module:function"."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

__all__ = ["CallableError", "find_function", "remember", "returned_by"]


class CallableError(ValueError):
    """There is no such function, or it raised; the message says which, in one line."""


_REMEMBERED: dict[str, Callable[..., Any]] = {}


def remember(target: str, function: Callable[..., Any]) -> None:
    """Makes "module:function" known in this process, a Ray worker, that cannot import the module."""
    _REMEMBERED[target] = function


def returned_by(target: str, what: str) -> Any:
    """What "module:function" returns when it is called without arguments; the current folder is on the path meanwhile.

    ValueError in one line, which begins with `what` is wanted, where there is no such function, or it raises anything.
    """
    function = find_function(target, what)
    with _current_folder_on_path(), _in_one_line(f"{what} {target!r}: the function raised"):
        return function()


def find_function(target: str, what: str) -> Callable[..., Any]:
    """The function "module:function", looked for in the current folder too. ValueError as `returned_by` says."""
    if target in _REMEMBERED:
        return _REMEMBERED[target]
    module, _, name = target.partition(":")
    with _current_folder_on_path(), _in_one_line(f"{what} {target!r}: the module raised"):
        try:
            function = getattr(import_module(module), name, None)
        except (ModuleNotFoundError, ValueError) as error:
            raise CallableError(f"{what} {target!r}: {error} (in {os.getcwd()} or on Python's path)") from None
    if not callable(function):
        found = "nothing" if function is None else type(function).__name__
        raise CallableError(f"{what} {target!r}: expected a function {name!r} in module {module!r}, got {found}")
    return function


@contextmanager
def _in_one_line(what: str) -> Iterator[None]:
    """CallableError for whatever the user's code raises, SystemExit too; that the user interrupts it stays so."""
    try:
        yield
    except (KeyboardInterrupt, CallableError):
        raise
    except BaseException as error:
        said = " ".join(str(error).split())
        raise CallableError(f"{what} {type(error).__name__}{f': {said}' if said else ''}") from error


@contextmanager
def _current_folder_on_path() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
