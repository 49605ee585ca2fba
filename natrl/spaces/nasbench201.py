"""The space of NAS-Bench-201 (arXiv 2001.00326): 5 operations on 6 slots, 15,625 architectures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture, wiring
from natrl.core.connectivity import is_live
from natrl.core.genotypes import NASBENCH201_CELL, NASBENCH201_OPERATIONS
from natrl.spaces.base import Space
from natrl.spaces.batch import Batch
from natrl.spaces.skeleton import Skeleton
from natrl.spaces.topologies import Topologies

__all__ = ["NasBench201Space"]

CELLS = (NASBENCH201_CELL,)


class NasBench201Space(Space):
    """One cell of four nodes, every earlier node feeding every later one."""

    name = "nasbench201"
    primitives = tuple(NASBENCH201_OPERATIONS.values())
    n_slots = len(NASBENCH201_CELL.edges)
    skeleton = Skeleton(channels=16, cells=15)

    @checked
    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random live architecture."""
        return self.samples(rng, 1)[0]

    def samples(self, rng: np.random.Generator, n: int) -> Batch:
        """n random live architectures: those that n calls of `sample` would draw."""
        drawn = np.empty((0, self.n_slots), dtype=np.int64)
        while len(drawn) < n:  # as many as are missing, so that no more is drawn than n calls would draw
            more = rng.integers(len(self.primitives), size=(n - len(drawn), self.n_slots))
            alive = is_live(more != self.primitives.index("null"), wiring(CELLS))
            drawn = np.concatenate([drawn, more[alive]])
        return Batch(self, Topologies.shared(CELLS), drawn)

    def architectures(self) -> Iterator[Architecture]:
        """All 15,625 architectures, dead ones included."""
        for operations in product(self.primitives, repeat=self.n_slots):
            yield Architecture(CELLS, operations)

    @checked
    def check(self, architecture: Architecture) -> Architecture:
        """Returns the architecture. ValueError if it is not one of this space."""
        if architecture.cells != CELLS:
            raise ValueError("space 'nasbench201' has one cell of 6 slots: 0>1 0>2 1>2 0>3 1>3 2>3")
        return super().check(architecture)
