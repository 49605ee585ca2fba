"""What a document may hold: plain values within limits, in the shape that its reader expects."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from natrl.checks.annotations import fits, in_words

__all__ = ["TOO_DEEP", "check_shape", "plain", "set_at", "shown"]

MOST_VALUES = 2_000_000  # in a document; those that YAML's aliases repeat count each time
DEEPEST = 64  # lists and groups within each other
BITS = 64  # of a whole number
TOO_DEEP = f"it nests deeper than {DEEPEST} levels"


def plain(document: Any, where: str) -> Any:
    """The document itself. ValueError in one line, which begins with `where` it is from, if its values are not plain.

    Names are text; values are text, numbers, true, false, null, lists and groups of these.
    """
    for count, (depth, value) in enumerate(_walk(document)):
        if depth > DEEPEST:
            raise ValueError(f"{where}: {TOO_DEEP}")
        if count > MOST_VALUES:
            raise ValueError(f"{where}: it holds more than {MOST_VALUES:,} values")
        if isinstance(value, dict):
            for name in value:
                if not isinstance(name, str) or not _is_text(name):
                    raise ValueError(f"{where}: names are text, got {name!r:.60}")
        elif reason := _wrong(value):
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
        if isinstance(value, list | dict):
            stack.append(iter(value.values() if isinstance(value, dict) else value))


def _wrong(value: Any) -> str | None:
    """What is wrong with a value, itself; None: nothing."""
    if value is None or isinstance(value, bool | list):
        return None
    if isinstance(value, str):
        return None if _is_text(value) else f"text holds characters that are none: {value!r:.60}"
    if isinstance(value, float):
        return None if math.isfinite(value) else f"numbers are finite, got {value}"
    if isinstance(value, int):
        bits = value.bit_length()
        return None if bits <= BITS else f"whole numbers have at most {BITS} bits, got one of {bits}"
    return f"values are text, numbers, true, false, null, lists and groups of these; quote {value!s:.60}"


def _is_text(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text))


def check_shape(value: Any, shape: Any, where: str) -> None:
    """ValueError, which names the place, if a value of a document has another shape.

    `shape`: a type, as annotations write it; a group with the shapes of names that must be there; a list of one shape.
    """
    if isinstance(shape, dict) and isinstance(value, dict):
        for name, inner in shape.items():
            check_shape(value.get(name), inner, f"{where}: {name}")
    elif isinstance(shape, list) and isinstance(value, list):
        for i, item in enumerate(value):
            check_shape(item, shape[0], f"{where}, {i}")
    elif isinstance(shape, dict | list) or not fits(value, shape):
        wanted = in_words(type(shape) if isinstance(shape, dict | list) else shape)
        raise ValueError(f"{where}: expected {wanted}, got {shown(value)}")


def shown(value: Any) -> str:
    """A value for a message, in a few words even if it is large."""
    if isinstance(value, dict | list | tuple):
        kind = "names and values" if isinstance(value, dict) else "a list"
        return f"{kind} ({len(value)})" if len(value) > 3 else f"{value!r:.60}"
    return f"{value!r:.60}"


def set_at(document: dict[str, Any], name: str, value: Any) -> None:
    """Sets document["learn"]["entropy"] for the name "learn.entropy"."""
    *groups, last = name.split(".")
    for group in groups:
        document = document.setdefault(group, {})
        if not isinstance(document, dict):
            raise ValueError(f"{name}: {group} must be fields and values, got {document!r:.60}")
    document[last] = value
