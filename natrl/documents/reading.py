"""Reading JSON and YAML documents, and writing YAML.

Names are text, values plain; what is larger, nests deeper or has more digits than any document of ours is refused, and
so is what is no file (a pipe would make a reader wait for ever).
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from natrl.documents.plain import plain, shown, TOO_DEEP

__all__ = ["MOST_BYTES", "open_file", "parse_json", "read_document", "read_json", "read_text", "yaml_text"]

MOST_BYTES = 64 * 2**20  # of a document
MOST_YAML = 2**20  # bytes; reading these takes 10 s


def read_text(path: Path | str, largest: int = MOST_BYTES) -> str:
    """The text of a file. ValueError in one line where it is no file, cannot be read, is too large or no UTF-8."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise ValueError(f"{path} has {size:,} bytes; such files have at most {largest:,}")
        try:
            return file.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None


def open_file(path: Path | str) -> Any:
    """The file, opened to read bytes. ValueError in one line if there is none, or something else: a folder, a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:  # a NUL in its name
        raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise ValueError(f"{path} cannot be read: it is {'a folder' if stat.S_ISDIR(mode) else 'no file'}")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path | str) -> dict[str, Any]:
    """The names and values in a JSON file. ValueError in one line that names the file."""
    return _named(parse_json(read_text(path), str(path)), str(path))


def read_document(path: Path) -> dict[str, Any]:
    """The names and values in a JSON (by its suffix) or YAML file. ValueError in one line that names the file."""
    if path.suffix == ".json":
        return read_json(path)
    text = read_text(path, MOST_YAML)
    import yaml  # JSON can be read without it

    from natrl.documents.yaml_dialect import Loader

    try:
        document = yaml.load(text, Loader)  # a safe loader
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{path}{where}: {error.problem}") from None
    except RecursionError:
        raise ValueError(f"{path}: {TOO_DEEP}") from None
    except Exception as error:  # of a malformed value with a tag: what PyYAML stumbles over, a KeyError say
        raise ValueError(f"{path}: not YAML: {_first_line(error)}") from None
    return _named(plain(document, str(path)), str(path))


def yaml_text(document: dict[str, Any]) -> str:
    """A document of plain values as YAML, which `read_document` reads back."""
    import yaml

    from natrl.documents.yaml_dialect import Dumper

    return yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True)


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text. ValueError in one line, which begins with `where` it is from."""
    hooks: dict[str, Any] = {"object_pairs_hook": _without_repetition, "parse_constant": _refuse_constant}
    try:
        document = json.loads(text, **hooks)
    except RecursionError:
        raise ValueError(f"{where}: {TOO_DEEP}") from None
    except ValueError as error:
        raise ValueError(f"{where}: not JSON: {_first_line(error)}") from None
    return plain(document, where)


def _named(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(f"{where}: expected names and their values, got {shown(document)}")
    return document


def _first_line(error: Exception) -> str:
    """The first line of what a library says, without its advice."""
    return f"{error}".strip().partition("\n")[0].partition(";")[0] or type(error).__name__


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r:.60} is given twice")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"numbers are finite, got {name}")
