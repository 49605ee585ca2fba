"""For mkdocs: what the reference shows of fields and annotations.

Settings get a table of their fields in place of an entry for each; the fields of other classes are described by the
comment behind them; and annotations stand without the text that stands below them (griffe_typingdoc).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from griffe import Docstring, Expr, ExprSubscript, ExprTuple, Extension, Module

from natrl.checks.reference import fields_in_words, is_settings

__all__ = ["Fields"]

COMMENT = "  # "
HEAD = "| field | default | what it may be | what it is |\n|---|---|---|---|\n"


class Fields(Extension):
    """Runs after griffe_typingdoc has read `Annotated[…, Doc("…")]`."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Of every class, attribute and parameter."""
        _prepare(pkg)


def _prepare(found: Any) -> None:
    if found.is_alias:
        return
    if found.is_class and found.members and "dataclass" in found.labels:
        _describe_fields(found)
    for annotated in (found,) if found.is_attribute else found.parameters if found.is_function else ():
        annotated.annotation = _bare(annotated.annotation)
    for member in found.members.values():
        _prepare(member)


def _describe_fields(found: Any) -> None:
    settings = getattr(import_module(found.module.path), found.name, None)
    if is_settings(settings):
        rows = fields_in_words(settings)
        text = found.docstring.value if found.docstring else ""
        found.docstring = Docstring(f"{text}\n\n{HEAD}{''.join(map(_row, rows))}", parent=found)
        for row in rows:
            found.members.pop(row.name, None)
        return
    for member in found.members.values():
        if member.is_attribute and not member.docstring and COMMENT in (source := member.source):
            comment = source.rpartition(COMMENT)[2].strip()
            member.docstring = Docstring(f"{comment[:1].upper()}{comment[1:]}.", parent=member)


def _row(field: Any) -> str:
    default = f"`{field.default}`" if field.default else "none: it must be given"
    cells = (f"**{field.name}**", default, field.wanted, field.text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _bare(annotation: str | Expr | None) -> str | Expr | None:
    if not isinstance(annotation, ExprSubscript) or str(annotation.left) != "Annotated":
        return annotation
    assert isinstance(annotation.slice, ExprTuple)
    kept = [part for part in annotation.slice.elements if not str(part).startswith("Doc(")]
    return kept[0] if len(kept) == 1 else ExprSubscript(annotation.left, ExprTuple(kept, implicit=True))
