"""The space of NAS-Bench-201 (arXiv 2001.00326): 5 operations on 6 slots, 15,625 architectures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from natrl.architecture import Architecture
from natrl.genotypes import NASBENCH201_CELL, NASBENCH201_OPERATIONS
from natrl.spaces.base import Space
from natrl.spaces.skeleton import Skeleton

__all__ = ["NasBench201Space"]


class NasBench201Space(Space):
    """One cell of four nodes, every earlier node feeding every later one."""

    name = "nasbench201"
    primitives = tuple(NASBENCH201_OPERATIONS.values())
    n_slots = len(NASBENCH201_CELL.edges)
    skeleton = Skeleton(channels=16, cells=15)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random live architecture."""
        while True:
            digits = rng.integers(len(self.primitives), size=self.n_slots)
            architecture = Architecture((NASBENCH201_CELL,), tuple(self.primitives[d] for d in digits))
            if architecture.is_live:
                return architecture

    def architectures(self) -> Iterator[Architecture]:
        """All 15,625 architectures, dead ones included."""
        for operations in product(self.primitives, repeat=self.n_slots):
            yield Architecture((NASBENCH201_CELL,), operations)

    def check(self, architecture: Architecture) -> Architecture:
        """Returns the architecture. ValueError if it is not one of this space."""
        if architecture.cells != (NASBENCH201_CELL,):
            raise ValueError("space 'nasbench201' has one cell of 6 slots: 0>1 0>2 1>2 0>3 1>3 2>3")
        return super().check(architecture)
