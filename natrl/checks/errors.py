"""Which errors natrl raises for its users, and how these read: one line of a few hundred characters.

natrl says what is wrong by ValueError, OSError or an error class of its own. Libraries raise ValueError and OSError,
too, and so does a mistake in natrl: an error is for users only where a `raise` statement of natrl's own code made it.
"""

from __future__ import annotations

import dis
import errno
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

__all__ = ["DEBUG", "debugging", "for_users", "one_line", "said", "summary", "whole_traceback"]

DEBUG = "NATRL_DEBUG"  # environment variable: show the traceback behind every error
LONGEST, TAIL = 400, 120  # characters of a message; of its end, where the middle is left out
_HOME = str(Path(__file__).resolve().parents[1])
_ENVS_AND_TUNING = tuple(str(Path(_HOME, name).resolve()) for name in ("envs", "tuning"))
#: Of the machine, whatever the program: no space, no memory, too many files, a broken disk, read-only.
_SYSTEM = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}
_FRAME = re.compile(r'File "([^"\n]+)", line \d+, in [^\n]*\n\s*(\S[^\n]*)')
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def for_users(error: BaseException) -> bool:
    """Whether natrl raised it to tell its user something; False: it comes from a mistake, and needs its traceback.

    Also True where the operating system refuses a file, or has no room. Of an error that a Ray worker raised, the
    worker's traceback decides.
    """
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _SYSTEM):
        return not _is_ours(str(error.filename))
    if not (isinstance(error, ValueError | OSError) or type(error).__module__.partition(".")[0] == "natrl"):
        return False
    remote = _remote_traceback(error)
    return _is_raised_here(error) if remote is None else _is_raised_there(remote)


def _is_raised_here(error: BaseException) -> bool:
    """Whether the innermost frame is natrl's, and stopped at a `raise`."""
    frame = error.__traceback__
    if frame is None:
        return False
    while frame.tb_next is not None:
        frame = frame.tb_next
    code = frame.tb_frame.f_code
    return _is_ours(code.co_filename) and code.co_code[frame.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _is_raised_there(remote: str) -> bool:
    """The same of a traceback's text. Without any frame it is Ray's news, such as that of an actor's death."""
    frames = _FRAME.findall(remote)
    return not frames or (_is_in_natrl(frames[-1][0]) and frames[-1][1].startswith("raise"))


def _is_in_natrl(file: str) -> bool:
    """Whether this is a file of natrl's, wherever a worker's machine has it."""
    parts = Path(file).parts
    return any(part == "natrl" and Path(_HOME, *parts[i + 1 :]).is_file() for i, part in enumerate(parts))


def _is_ours(file: str) -> bool:
    return str(Path(file).resolve()).startswith((_HOME + os.sep, *(home + os.sep for home in _ENVS_AND_TUNING)))


def _remote_traceback(error: BaseException) -> str | None:
    """The traceback of the Ray worker that the error comes from; None: it comes from this process."""
    if (own := getattr(error, "remote_traceback", None)) is not None:
        return str(own)
    context = error.__context__  # of `raise ray_error.cause from None`
    return _COLOUR.sub("", str(context)) if getattr(context, "cause", None) is error else None


def one_line(message: str) -> str:
    """The message in one line of at most `LONGEST` printable characters; the middle of a longer one is left out."""
    text = " ".join(
        "".join(c if c.isprintable() or c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in message).split()
    )
    return text if len(text) <= LONGEST else f"{text[: LONGEST - TAIL - 3]} … {text[-TAIL:]}"


def said(error: BaseException, most: int = 200) -> str:
    """What an error says, in one line of at most so many characters; the name of its kind where it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def summary(error: BaseException, most: int = 200) -> str:
    """The kind of an error and the first line of what it says: "KeyError: 'weights'"."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:most]}".rstrip(": ")


def whole_traceback(error: BaseException) -> str:
    """The traceback with everything that the error hides: what it was raised `from None` of, and the worker's."""
    for link in _chain(error):
        link.__suppress_context__ = False
    remote = _remote_traceback(error)
    return (f"{remote.rstrip()}\n\n" if remote else "") + "".join(traceback.format_exception(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def debugging() -> bool:
    """Whether the user asked for tracebacks (`--debug`, NATRL_DEBUG=1)."""
    return os.environ.get(DEBUG, "") not in ("", "0")
