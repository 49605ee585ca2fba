"""Spaces of a normal and a reduce cell with two inputs each: DARTS, ENAS, NAO."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture, Cell
from natrl.core.operations import PRIMITIVES
from natrl.spaces.base import Space
from natrl.spaces.skeleton import Skeleton

__all__ = ["CellSpace"]


@dataclass(frozen=True, repr=False)
class CellSpace(Space):
    """Cells in which two slots write each of `nodes` nodes, from any two earlier nodes.

    Sampling draws sources and operations uniformly. The output is the concatenation of all nodes ("full"), or of those
    that no slot reads ("loose"). A share of `chains` is drawn as hand-made networks look: each node reads the one
    before it, and the last node alone is the output; VGG, ResBlock and MobileNetV2 are such architectures.
    """

    name: str
    nodes: int
    concat: str = "full"  # "full" | "loose"
    primitives: tuple[str, ...] = PRIMITIVES
    chains: float = 0.3  # share of chain architectures among the samples, in [0, 1]
    skeleton: Skeleton = field(default_factory=Skeleton)

    @property
    def n_slots(self) -> int:  # type: ignore[override]  # derived here, a plain attribute elsewhere
        return 4 * self.nodes

    @checked
    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random live architecture."""
        chain = rng.random() < self.chains
        cells = tuple(self._sample_cell(name, chain, rng) for name in ("normal", "reduce"))
        while True:
            operations = rng.choice(len(self.primitives), size=self.n_slots)
            architecture = Architecture(cells, tuple(self.primitives[k] for k in operations))
            if architecture.is_live:
                return architecture

    def _sample_cell(self, name: str, chain: bool, rng: np.random.Generator) -> Cell:
        edges = []
        for node in range(2, 2 + self.nodes):
            if chain:
                sources = [int(rng.integers(node - 1)), node - 1]
            else:
                sources = sorted(int(s) for s in rng.choice(node, size=2, replace=False))
            edges += [(source, node) for source in sources]
        read = {source for source, _ in edges}
        everything = range(2, 2 + self.nodes)
        outputs: tuple[int, ...]
        if chain:
            outputs = (1 + self.nodes,)
        else:
            outputs = tuple(n for n in everything if self.concat == "full" or n not in read)
        return Cell(name, 2, tuple(edges), outputs, reduction=name == "reduce")
