"""Spaces by name."""

from __future__ import annotations

from natrl.checks.arguments import checked
from natrl.checks.kinds import instance_of
from natrl.registry import Registry
from natrl.spaces.base import Space

__all__ = ["SPACES", "register_space", "space"]

SPACES: Registry[Space] = Registry("space", instance_of(Space), group="natrl.spaces")


@checked
def register_space(new: Space) -> Space:
    """Makes a space known by its name. ValueError if the name is taken."""
    SPACES.register(new.name, new)
    return new


def space(name: str | Space) -> Space:
    """The space of that name, or "module:object" (a space is returned as it is). ValueError lists the known names."""
    return SPACES.get(name)


for _name, _description in (
    ("darts", "two cells of four nodes with two slots each"),
    ("darts301", "as darts, with the operations of NAS-Bench-301: no plain convolution, no null"),
    ("enas", "two cells of five nodes; what no other node reads is the output"),
    ("nao", "as enas, with more operations"),
    ("nasbench201", "one cell of six slots, of which all architectures were trained"),
):
    SPACES.register(_name, f"natrl.spaces.builtin:{_name.upper()}", _description)
