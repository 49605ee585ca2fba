"""Whether what cannot be is refused as users should meet it."""

from __future__ import annotations

import contextlib
import io
import os
import pkgutil
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import natrl.commands
import natrl.tuning
from natrl.checks.errors import for_users, LONGEST
from tests.commands.cli import run

__all__ = ["Case", "Miss", "judge"]

LONGEST_LINE, LONGEST_S = LONGEST + len("natrl: "), 60
#: Where the work of a command begins: what gets so far was not refused.
WORK = (
    "ray.tune.Tuner.fit",
    "natrl.tuning.comparison.train_all",
    "natrl.bench.Bench.run",
    "natrl.bench.ranking.correlations",
    "natrl.tuning.optimize.run.propose",
)

#: Imported while work is patched, a module would keep the patch for good.
for _package in (natrl.commands, natrl.tuning):
    for _module in pkgutil.walk_packages(_package.__path__, f"{_package.__name__}."):
        import_module(_module.name)


class Started(BaseException):
    """The work began."""


class TooLong(BaseException):
    """Nothing came for a while."""


@dataclass(frozen=True)
class Case:
    """A malformed input: a command line, or a call from Python.

    `must_refuse`: False where it may also be taken for what it is (a field that is not needed), as long as nothing
    else happens.
    """

    name: str
    owner: str  # the part of natrl that has to refuse it
    what: tuple[str, ...] | Callable[[], Any]
    must_refuse: bool = True
    file: str | None = None  # that is damaged meanwhile
    damage: Callable[[Path], None] | None = None  # how


@dataclass(frozen=True)
class Miss:
    """A case that was not refused in one line, and what happened instead."""

    case: Case
    reason: str

    def __str__(self) -> str:
        return f"{self.case.owner}: {self.case.name}: {self.reason}"


def judge(case: Case, folder: Path) -> Miss | None:
    """None if the input is refused: by one line, with nothing written to the folder."""
    before = _files(folder)
    with _limits(folder), _damaged(case, folder):
        reason = _command(case.what) if isinstance(case.what, tuple) else _call(case.what)
    if reason == "accepted" and not case.must_refuse:
        reason = None
    elif reason is None and (new := _files(folder) - before):
        reason = f"wrote {', '.join(sorted(new))}"
    for written in sorted(_files(folder) - before, reverse=True):
        _remove(folder / written)
    return None if reason is None else Miss(case, reason)


def _command(arguments: tuple[str, ...]) -> str | None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(*arguments)
        except (Started, TooLong) as stop:
            return "accepted" if isinstance(stop, Started) else "hangs"
        except BaseException as error:
            return f"raises {_short(error)}"
    lines = err.getvalue().splitlines()
    if code == 0:
        return "accepted"
    if code != 2 or len(lines) != 1 or not lines[0].startswith("natrl: "):
        return f"exit code {code}, {len(lines)} lines on stderr: {' | '.join(lines[-2:])[:300]}"
    if len(lines[0]) > LONGEST_LINE:
        return f"{len(lines[0])} characters: {lines[0][:160]}…"
    return f"on stdout: {out.getvalue()[:80]!r}" if out.getvalue() else None


def _call(function: Callable[[], Any]) -> str | None:
    try:
        function()
    except Started:
        return "accepted"
    except TooLong:
        return "hangs"
    except BaseException as error:
        if not for_users(error):
            return f"raises {_short(error)}"
        if "\n" in str(error).strip() or len(str(error)) > LONGEST_LINE:
            return f"{len(str(error))} characters, {str(error).count(chr(10)) + 1} lines: {str(error)[:160]!r}"
        return None
    return "accepted"


def _short(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = "/".join(Path(where.filename).parts[-2:])
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]} ({place}:{where.lineno})"


@contextmanager
def _limits(folder: Path) -> Iterator[None]:
    """In the folder; work does not begin, and nothing lasts for ever."""

    def stop(*_: Any) -> None:
        raise TooLong

    with ExitStack() as stack:
        for target in WORK:
            stack.enter_context(mock.patch(target, side_effect=Started))
        before = signal.signal(signal.SIGALRM, stop)
        home = os.getcwd()
        os.chdir(folder)
        signal.alarm(LONGEST_S)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
            os.chdir(home)


@contextmanager
def _damaged(case: Case, folder: Path) -> Iterator[None]:
    """The case's file in its bad state, and as it was."""
    if case.file is None or case.damage is None:
        yield
        return
    path = folder / case.file
    sound = path.read_bytes()
    try:
        case.damage(path)
        yield
    finally:
        _remove(path) if os.path.lexists(path) else None
        path.write_bytes(sound)


def _files(folder: Path) -> set[str]:
    return {
        os.path.relpath(Path(root, name), folder)
        for root, dirs, files in os.walk(folder)
        for name in dirs + files
        if not name.endswith(("-wal", "-shm"))
    }


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
