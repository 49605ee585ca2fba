"""For mkdocs: the reference shows annotations without the text that stands below them (griffe_typingdoc)."""

from __future__ import annotations

from typing import Any

from griffe import Expr, ExprSubscript, ExprTuple, Extension, Module

__all__ = ["BareAnnotations"]


class BareAnnotations(Extension):
    """Runs after griffe_typingdoc has read `Annotated[…, Doc("…")]`."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Of every attribute and every parameter."""
        _bare_below(pkg)


def _bare_below(found: Any) -> None:
    if found.is_alias:
        return
    for annotated in (found,) if found.is_attribute else found.parameters if found.is_function else ():
        annotated.annotation = _bare(annotated.annotation)
    for member in found.members.values():
        _bare_below(member)


def _bare(annotation: str | Expr | None) -> str | Expr | None:
    if not isinstance(annotation, ExprSubscript) or str(annotation.left) != "Annotated":
        return annotation
    assert isinstance(annotation.slice, ExprTuple)
    kept = [part for part in annotation.slice.elements if not str(part).startswith("Doc(")]
    return kept[0] if len(kept) == 1 else ExprSubscript(annotation.left, ExprTuple(kept, implicit=True))
