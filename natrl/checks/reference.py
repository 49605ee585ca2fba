"""Settings in words: of each field its default, what it may be, and what it is. The reference shows them as a table."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, MISSING
from typing import Annotated, Any, get_args, get_origin, NamedTuple

from annotated_doc import Doc

from natrl.checks.annotations import alternatives, in_words, range_of
from natrl.checks.fields import field_hints

__all__ = ["FieldInWords", "fields_in_words", "is_settings"]


class FieldInWords(NamedTuple):
    """A field of settings."""

    name: str
    default: str  # as Python writes it; empty: there is none
    wanted: str  # its types and its range
    text: str  # its `Doc`; empty: it has none


def is_settings(found: Any) -> bool:
    """Whether it is a dataclass that says of its fields what they are."""
    return isinstance(found, type) and is_dataclass(found) and any("Doc(" in str(f.type) for f in fields(found))


def fields_in_words(settings: type) -> list[FieldInWords]:
    """Of a dataclass, those that it inherits included."""
    hints = field_hints(settings)
    return [FieldInWords(f.name, _default(f), _wanted(hints[f.name]), _text(hints[f.name])) for f in fields(settings)]


def _default(of: Any) -> str:
    if of.default is MISSING and of.default_factory is MISSING:
        return ""
    value = of.default if of.default_factory is MISSING else of.default_factory()
    return _changed(value) if is_dataclass(value) else repr(value)


def _changed(settings: Any) -> str:
    """The call that makes them, with what differs from their own defaults."""
    given = [(f.name, getattr(settings, f.name)) for f in fields(settings) if getattr(settings, f.name) != f.default]
    return f"{type(settings).__name__}({', '.join(f'{name}={value!r}' for name, value in given)})"


def _wanted(hint: Any) -> str:
    (kind, *others), bounds = alternatives(hint), range_of(hint)
    words = "a name or an object" if kind is Any and not others else in_words(hint)
    return f"{words}, {bounds}" if bounds else words


def _text(hint: Any) -> str:
    metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((extra.documentation for extra in metadata if isinstance(extra, Doc)), "")
