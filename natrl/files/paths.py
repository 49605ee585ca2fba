"""Paths that a user gives: made absolute once, where they come in, so that they mean the same in Ray's workers.

A path is relative to the current folder, or to the folder of the settings file that names it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from natrl.core.genotypes import zoo

__all__ = ["absolute", "absolute_architecture", "absolute_reference", "absolute_settings", "quote"]


def absolute(path: Path | str, folder: Path | str = ".") -> Path:
    """The path in full, "~" and ".." resolved, links left as they are; a relative one lies in `folder`."""
    return Path(os.path.abspath(os.path.join(folder, os.path.expanduser(path))))


def quote(path: Path | str) -> str:
    """The path as a shell takes it, for commands that are printed."""
    return shlex.quote(str(path))


def absolute_reference(text: str, folder: Path | str = ".") -> str:
    """`table:FILE` and `folder:PATH` with an absolute path; any other text, `table:NAME` too, as it is.

    (A table's file has a suffix.)
    """
    scheme, _, rest = text.partition(":")
    if not rest or not (scheme == "folder" or (scheme == "table" and Path(rest).suffix)):
        return text
    return f"{scheme}:{absolute(rest, folder)}"


def absolute_architecture(text: str, folder: Path | str = ".") -> str:
    """The name of a file, also as FILE:NAME, with an absolute path; other notations of an architecture as they are."""
    for file, name in ((text, ""), (text.rpartition(":")[0], text.rpartition(":")[2])):
        if file and file.lower() not in map(str.lower, zoo()) and os.path.isfile(Path(folder, file)):
            return f"{absolute(file, folder)}{':' * bool(name)}{name}"
    return text


def absolute_settings(document: Any, folder: Path | str = ".") -> Any:
    """A document of settings with absolute paths: a run's, the search space of a sweep, or a part of either.

    References are absolute wherever they stand, file names of architectures below "initial", and a folder at "start".
    """
    if isinstance(document, str):
        return absolute_reference(document, folder)
    if isinstance(document, list | tuple):
        return type(document)(absolute_settings(item, folder) for item in document)
    if isinstance(document, Mapping):
        return {
            name: _FILES[name](value, folder) if name in _FILES else absolute_settings(value, folder)
            for name, value in document.items()
        }
    return document


def _initial(value: Any, folder: Path | str) -> Any:
    """What "initial" holds: names of files in lists, or lists of these where a sweep chooses."""
    if isinstance(value, list | tuple):
        return type(value)(
            absolute_architecture(item, folder) if isinstance(item, str) else _initial(item, folder) for item in value
        )
    return {k: _initial(v, folder) for k, v in value.items()} if isinstance(value, Mapping) else value


def _start(value: Any, folder: Path | str) -> Any:
    """What "start" holds: the folder of a run or policy, or several where a sweep chooses."""
    if isinstance(value, Mapping):
        return {k: _start(v, folder) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_start(item, folder) for item in value)
    return str(absolute(value, folder)) if isinstance(value, str) else value


#: Entries whose values are names of files or folders.
_FILES = {"initial": _initial, "start": _start}
