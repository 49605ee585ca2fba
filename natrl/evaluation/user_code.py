"""The user's own code in Ray's workers, which know neither his folders nor what he registered.

Functions and classes of his modules are pickled whole, not by name; what settings call by name travels with them.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from ray import cloudpickle

from natrl.digests.libraries import is_library_file

__all__ = ["FunctionError", "check_travels", "share_user_code"]

OURS = ("natrl", "ray")  # wherever they are installed
DEPTH = 20  # attributes of attributes that are looked through for the one that cannot be pickled


class FunctionError(ValueError):
    """A function of the user's raised, or returned what it must not; the message says so in one line.

    Where it raised, `traceback` is its own as text, which comes along from workers.
    """

    def __init__(self, message: str, error: BaseException | None = None) -> None:
        super().__init__(message)
        self.traceback = ""
        if error is not None and error.__traceback__ is not None:
            theirs = error.__traceback__.tb_next  # the first frame is natrl's call
            self.traceback = "".join(traceback.format_exception(type(error), error, theirs))


def share_user_code() -> None:
    """From now on functions and classes of the user's modules that are loaded are pickled whole.

    A user's module is one from a file outside of Python's and pip's folders: of a script's folder, a notebook's, one on
    sys.path or PYTHONPATH.
    """
    for name, module in list(sys.modules.items()):
        if name == "__main__" or name.partition(".")[0] in OURS or not isinstance(module, ModuleType):
            continue  # (cloudpickle pickles __main__ whole by itself)
        file = getattr(module, "__file__", None)
        if file is not None and not is_library_file(file):
            cloudpickle.register_pickle_by_value(module)


def check_travels(value: Any, what: str) -> None:
    """ValueError, which begins with `what`, if the value cannot be sent to workers: the part of it, and the reason."""
    share_user_code()
    try:
        cloudpickle.dumps(value)
    except Exception as error:  # whatever an attribute's own __reduce__ raises
        where, culprit, reason = _culprit(value, error)
        part = f"its {where} ({type(culprit).__name__})" if where else f"{type(culprit).__name__}"
        raise ValueError(f"{what} cannot be sent to Ray's workers: {part} cannot be pickled: {reason}") from error


def _culprit(value: Any, reason: Exception) -> tuple[str, Any, Exception]:
    """The innermost part that cannot be pickled: its dotted name, itself, and why."""
    path: list[str] = []
    for _ in range(DEPTH):
        found = next(((name, part, e) for name, part in _parts(value) if (e := _refusal(part))), None)
        if found is None:
            break
        name, value, reason = found
        path.append(name)
    return ".".join(name for name in path if name not in ("_modules", "_parameters", "_buffers")), value, reason


def _refusal(value: Any) -> Exception | None:
    try:
        cloudpickle.dumps(value)
    except Exception as error:
        return error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value consists of: attributes, items, and what a function refers to."""
    if isinstance(value, FunctionType):
        yield from ((name, value.__globals__[name]) for name in value.__code__.co_names if name in value.__globals__)
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        yield from ((name, cell.cell_contents) for name, cell in cells)
    elif isinstance(value, dict):
        yield from ((str(name), item) for name, item in value.items())
    elif isinstance(value, list | tuple | set):
        yield from ((str(i), item) for i, item in enumerate(value))
    else:
        kind = value if isinstance(value, type) else type(value)
        own = {} if isinstance(value, type) else dict(getattr(value, "__dict__", {}))
        yield from own.items()
        yield from ((name, part) for name, part in vars(kind).items() if not name.startswith(("__", "_abc_")))
