"""Pages from templates: values are escaped, and a page is written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from natrl import formats
from natrl.drawing.palette import PAPER
from natrl.files.writing import write_atomically
from natrl.report.picture import DARK

__all__ = ["flat", "write_page"]


def write_page(path: Path, template: str, content: Mapping[str, Any]) -> Path:
    """Fills the template and writes the page; returns its path."""
    environment = Environment(
        loader=PackageLoader("natrl", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = {"formats": formats, "dark_paper": DARK[PAPER]}
    return write_atomically(path, environment.get_template(template).render({**shared, **content}))


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, value)."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
