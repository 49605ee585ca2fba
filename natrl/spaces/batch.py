"""Architectures of one space as arrays: what environments step. N architectures, E slots, K primitives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from typing import Any, overload, TYPE_CHECKING

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.operations import VOCABULARY_INDEX
from natrl.spaces.topologies import Topologies

if TYPE_CHECKING:
    from natrl.core.cell import Cell
    from natrl.core.transitions import CostMode, Rule
    from natrl.spaces.base import Space

__all__ = ["Batch"]

MAX_CODES = 2**20


class Batch(Sequence[Architecture]):
    """A sequence of N architectures that holds arrays and makes an `Architecture` where one is asked for.

    `choices` int64 (N, E), in [0, K), says which primitive each slot holds; it is not to be changed.
    """

    def __init__(self, space: Space, topologies: Topologies, choices: np.ndarray) -> None:
        self.space = space
        self.topologies = topologies
        self.choices = choices
        self.ops = _vocabulary(space.primitives)[choices]  # int64 (N, E): vocabulary indices

    @classmethod
    def of(cls, space: Space, architectures: Sequence[Architecture]) -> Batch:
        """The architectures as they are. ValueError where an operation is not a primitive of the space."""
        column = {name: k for k, name in enumerate(space.primitives)}
        try:
            choices = np.array([[column[op] for op in a.operations] for a in architectures], dtype=np.int64)
        except KeyError:
            for architecture in architectures:
                space.check(architecture)
            raise
        return cls(space, Topologies.of(architectures), choices)

    def __len__(self) -> int:
        return len(self.choices)

    @overload
    def __getitem__(self, index: int) -> Architecture: ...
    @overload
    def __getitem__(self, index: slice) -> Batch: ...
    def __getitem__(self, index: int | slice) -> Architecture | Batch:
        if isinstance(index, slice):
            return self.take(index)
        primitives = self.space.primitives
        operations = tuple([primitives[k] for k in self.choices[index].tolist()])
        return Architecture(self.topologies.cells_of(index), operations)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """object (N,): the architectures, made once; not to be changed but in a copy."""
        return self._objects.copy() if copy else self._objects

    @cached_property
    def _objects(self) -> np.ndarray:
        codes, shared = self.codes, self.topologies.cells
        if codes is not None and shared is not None:
            made, known = _remembered(shared, self.space.primitives)
            for row in np.flatnonzero(~known[codes]).tolist():
                made[codes[row]], known[codes[row]] = self[row], True
            return made[codes]
        distinct, which = self.topologies.distinct
        cells = [distinct[u] for u in np.broadcast_to(which, len(self)).tolist()]
        names = np.array(self.space.primitives, dtype=object)[self.choices].tolist()
        objects = np.empty(len(self), dtype=object)
        objects[:] = list(map(Architecture, cells, map(tuple, names)))
        return objects

    def __deepcopy__(self, memo: Any) -> Batch:
        return self  # a value, as Architecture is; Gymnasium and RLlib copy the arguments of environments

    def take(self, indices: np.ndarray | slice) -> Batch:
        """The architectures at `indices`, an int array or a slice."""
        return Batch(self.space, self.topologies.take(indices), self.choices[indices])

    def with_choices(self, choices: np.ndarray) -> Batch:
        """The same topologies with other primitives, int64 (N, E)."""
        return Batch(self.space, self.topologies, choices)

    @property
    def costs(self) -> np.ndarray:
        """int64 (N, 2): parameters and MAdds, as `Space.cost` counts them."""
        return self.space.costs_of(self.choices, self.topologies)

    def masks(self, rule: Rule = "nat++", cost: CostMode = "strict") -> np.ndarray:
        """bool (N, E, K): the primitives that each slot may become, as `Space.masks` says."""
        return self.space.masks_of(self.ops, self.topologies, rule, cost)

    def encode(self) -> dict[str, np.ndarray]:
        """The observation arrays of `natrl.spaces.encode`, the caller's to change."""
        topologies, n = self.topologies, len(self)
        adjacency, features = topologies.adjacency, topologies.features
        if topologies.cells is not None:  # (1, …), and not to be changed
            alone = n == 1  # the scalar environments' case, in which a copy is quicker
            adjacency = adjacency.copy() if alone else np.repeat(adjacency, n, axis=0)
            features = features.copy() if alone else np.repeat(features, n, axis=0)
        return {"ops": self.ops.copy(), "adjacency": adjacency, "features": features}

    @cached_property
    def codes(self) -> np.ndarray | None:
        """int64 (N,): a number in [0, K^E) for each architecture, where all share a topology and numbers are few."""
        k, slots = len(self.space.primitives), self.space.n_slots
        if self.topologies.cells is None or k**slots > MAX_CODES or not self.space.is_listed:
            return None
        return self.choices @ _place_values(k, slots)


@cache
def _vocabulary(primitives: tuple[str, ...]) -> np.ndarray:
    return np.array([VOCABULARY_INDEX[p] for p in primitives])


@cache
def _place_values(k: int, slots: int) -> np.ndarray:
    return k ** np.arange(slots)[::-1]


@lru_cache(maxsize=4)
def _remembered(cells: tuple[Cell, ...], primitives: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """object (K^E,), the architecture of each code, and bool (K^E,), whether it was made."""
    codes = len(primitives) ** sum(len(cell.edges) for cell in cells)
    return np.empty(codes, dtype=object), np.zeros(codes, dtype=bool)
