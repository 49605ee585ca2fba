"""Spaces by name."""

from __future__ import annotations

from reprlib import repr as short

from natrl.checks.arguments import checked
from natrl.core.operations import PRIMITIVES
from natrl.spaces.base import Space
from natrl.spaces.cells import CellSpace
from natrl.spaces.nasbench201 import NasBench201Space

__all__ = ["register_space", "space", "space_names"]

_SPACES: dict[str, Space] = {}


@checked
def register_space(new: Space) -> Space:
    """Makes a space known by its name. ValueError if the name is taken."""
    if new.name in _SPACES:
        raise ValueError(f"space {new.name!r} is registered already")
    _SPACES[new.name] = new
    return new


def space(name: str | Space) -> Space:
    """The space of that name (a space is returned as it is). ValueError lists the known names."""
    if isinstance(name, Space):
        return name
    try:
        return _SPACES[name]
    except (KeyError, TypeError):
        raise ValueError(f"unknown space {short(name)}; known: {', '.join(_SPACES)}") from None


def space_names() -> tuple[str, ...]:
    """The registered names."""
    return tuple(_SPACES)


register_space(CellSpace("darts", nodes=4))
register_space(CellSpace("enas", nodes=5, concat="loose"))
register_space(
    CellSpace(
        "nao",
        nodes=5,
        concat="loose",
        primitives=(*PRIMITIVES, "conv_1x3_3x1", "conv_1x7_7x1", "max_pool_2x2", "avg_pool_2x2"),
    )
)
register_space(NasBench201Space())
