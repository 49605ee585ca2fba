"""Spaces by name, and those that natrl brings."""

from __future__ import annotations

from natrl.checks.arguments import checked
from natrl.checks.kinds import instance_of
from natrl.core.operations import PRIMITIVES
from natrl.registry import Registry
from natrl.spaces.base import Space
from natrl.spaces.cells import CellSpace
from natrl.spaces.nasbench201 import NasBench201Space

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


_MORE = ("conv_1x3_3x1", "conv_1x7_7x1", "max_pool_2x2", "avg_pool_2x2")
_NOT_IN_301 = ("conv_5x5", "conv_3x3", "conv_1x1", "max_pool_5x5", "avg_pool_5x5", "null")
DARTS = CellSpace("darts", nodes=4)
DARTS301 = CellSpace("darts301", nodes=4, primitives=tuple(p for p in PRIMITIVES if p not in _NOT_IN_301), chains=0.0)
ENAS = CellSpace("enas", nodes=5, concat="loose")
NAO = CellSpace("nao", nodes=5, concat="loose", primitives=(*PRIMITIVES, *_MORE))
NASBENCH201 = NasBench201Space()
for _name, _description in (
    ("darts", "two cells of four nodes with two slots each"),
    ("darts301", "as darts, with the operations of NAS-Bench-301: no plain convolution, no null"),
    ("enas", "two cells of five nodes; what no other node reads is the output"),
    ("nao", "as enas, with more operations"),
    ("nasbench201", "one cell of six slots, of which all architectures were trained"),
):
    SPACES.register(_name, f"natrl.spaces.registry:{_name.upper()}", _description)
