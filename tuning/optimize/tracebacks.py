"""Where the traceback of a user's own function is kept: the error itself is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from natrl.evaluation.user_code import FunctionError
from natrl.files.writing import write_atomically
from natrl.runs.directory import is_worth_keeping

__all__ = ["kept_traceback"]

NAME = "traceback.txt"


@contextmanager
def kept_traceback(run: Path) -> Iterator[None]:
    """Where the body ends by a function of the user's that raised, the traceback is written, and its file is named.

    It is in the run's directory, or beside it where that has nothing to go on with, and is free for the same call.
    """
    try:
        yield
    except FunctionError as error:
        if not error.traceback:
            raise
        file = run / NAME if is_worth_keeping(run) else run.with_name(f"{run.name}-{NAME}")
        write_atomically(file, error.traceback)
        raise ValueError(f"{error}; its traceback is in {file}") from error
