"""The spaces that natrl.spaces.registry knows."""

from __future__ import annotations

from natrl.core.operations import PRIMITIVES
from natrl.spaces.cells import CellSpace
from natrl.spaces.nasbench201 import NasBench201Space

__all__ = ["DARTS", "DARTS301", "ENAS", "NAO", "NASBENCH201"]

NOT_IN_301 = ("conv_5x5", "conv_3x3", "conv_1x1", "max_pool_5x5", "avg_pool_5x5", "null")
DARTS = CellSpace("darts", nodes=4)
DARTS301 = CellSpace(
    "darts301",
    nodes=4,
    primitives=tuple(p for p in PRIMITIVES if p not in NOT_IN_301),
    chains=0.0,
)
ENAS = CellSpace("enas", nodes=5, concat="loose")
NAO = CellSpace(
    "nao",
    nodes=5,
    concat="loose",
    primitives=(*PRIMITIVES, "conv_1x3_3x1", "conv_1x7_7x1", "max_pool_2x2", "avg_pool_2x2"),
)
NASBENCH201 = NasBench201Space()
