"""Documents in JSON and YAML, as natrl and its users write them: read by one reader, which trusts nothing.

Names are text, values plain; what is larger, nests deeper or has more digits than any document of ours is refused, and
so is what is no file (a pipe would make a reader wait for ever).
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

import yaml

__all__ = [
    "MOST_BYTES",
    "check_shape",
    "open_file",
    "parse_json",
    "read_document",
    "read_json",
    "read_text",
    "shown",
    "yaml_text",
]

MOST_BYTES = 64 * 2**20  # of a document
MOST_YAML = 2**20  # bytes; reading these takes 10 s
MOST_VALUES = 2_000_000  # in a document; those that YAML's aliases repeat count each time
DEEPEST = 64  # lists and groups within each other
BITS = 64  # of a whole number


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
    try:
        document = yaml.load(text, _Loader)  # a safe loader
    except yaml.MarkedYAMLError as error:
        where = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{path}{where}: {error.problem}") from None
    except RecursionError:
        raise ValueError(f"{path}: {_TOO_DEEP}") from None
    except Exception as error:  # of a malformed value with a tag: what PyYAML stumbles over, a KeyError say
        raise ValueError(f"{path}: not YAML: {_first_line(error)}") from None
    return _named(_checked(document, str(path)), str(path))


def yaml_text(document: dict[str, Any]) -> str:
    """A document of plain values as YAML, which `read_document` reads back."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text. ValueError in one line, which begins with `where` it is from."""
    hooks: dict[str, Any] = {"object_pairs_hook": _without_repetition, "parse_constant": _refuse_constant}
    try:
        document = json.loads(text, **hooks)
    except RecursionError:
        raise ValueError(f"{where}: {_TOO_DEEP}") from None
    except ValueError as error:
        raise ValueError(f"{where}: not JSON: {_first_line(error)}") from None
    return _checked(document, where)


def shown(value: Any) -> str:
    """A value for a message, in a few words even if it is large."""
    if isinstance(value, dict | list | tuple):
        kind = "names and values" if isinstance(value, dict) else "a list"
        return f"{kind} ({len(value)})" if len(value) > 3 else f"{value!r:.60}"
    return f"{value!r:.60}"


def check_shape(value: Any, shape: Any, where: str) -> None:
    """ValueError, which names the place, if a value of a document has another shape.

    `shape`: a type or a tuple of types; a group with the shapes of names that must be there; a list of one shape.
    """
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in shape.items():
            check_shape(value.get(name), inner, f"{where}: {name}")
    elif isinstance(shape, list) and isinstance(value, list):
        for i, item in enumerate(value):
            check_shape(item, shape[0], f"{where}, {i}")
    elif (
        isinstance(shape, dict | list)
        or not isinstance(value, shape)
        or (isinstance(value, bool) and shape is not bool)
    ):
        raise ValueError(f"{where}: expected {_shape_name(shape)}, got {shown(value)}")


_SHAPES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    dict: "names and values",
    list: "a list",
    NoneType: "null",
}


def _shape_name(shape: Any) -> str:
    kinds = shape if isinstance(shape, tuple) else (type(shape) if isinstance(shape, dict | list) else shape,)
    return " or ".join(_SHAPES[kind] for kind in kinds if kind is not int or float not in kinds)


_TOO_DEEP = f"it nests deeper than {DEEPEST} levels"


def _named(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ValueError(f"{where}: expected names and their values, got {shown(document)}")
    return document


def _checked(document: Any, where: str) -> Any:
    """The document itself, if its values are plain."""
    for count, (depth, value) in enumerate(_walk(document)):
        if depth > DEEPEST:
            raise ValueError(f"{where}: {_TOO_DEEP}")
        if count > MOST_VALUES:
            raise ValueError(f"{where}: it holds more than {MOST_VALUES:,} values")
        if reason := _wrong(value):
            raise ValueError(f"{where}: {reason}")
    return document


def _walk(document: Any) -> Iterator[tuple[int, Any]]:
    """Every value and how deep it lies, without recursion."""
    stack = [iter((document,))]
    while stack:
        value = next(stack[-1], stack)
        if value is stack:
            stack.pop()
            continue
        yield len(stack), value
        if isinstance(value, list):
            stack.append(iter(value))
        elif isinstance(value, dict):
            stack.append(iter((*map(_Name, value), *value.values())))


class _Name:
    """A name in a document."""

    def __init__(self, name: Any) -> None:
        self.name = name


def _wrong(value: Any) -> str | None:
    """What is wrong with a value, itself; None: nothing."""
    if isinstance(value, _Name):
        return (
            None if isinstance(value.name, str) and _is_text(value.name) else f"names are text, got {value.name!r:.60}"
        )
    if isinstance(value, str):
        return None if _is_text(value) else f"text holds characters that are none: {value!r:.60}"
    if value is None or isinstance(value, bool | list | dict):
        return None
    if isinstance(value, int):
        return (
            f"whole numbers have at most {BITS} bits, got one of {value.bit_length()}"
            if value.bit_length() > BITS
            else None
        )
    if isinstance(value, float):
        return None if math.isfinite(value) else f"numbers are finite, got {value}"
    return f"values are text, numbers, true, false, null, lists and groups of these; quote {value!s:.60}"


def _is_text(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


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


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with 1e-4 read as a number (as YAML 1.2 does) and keys given twice refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key)
            if not isinstance(name, str | int | float | None):
                raise yaml.constructor.ConstructorError(None, None, "names are text", key.start_mark)
            if name in keys:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r:.60} is given twice", key.start_mark)
            keys.add(name)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes text that `_Loader` would read as a number."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )
