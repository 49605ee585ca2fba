"""What a search is: it proposes architectures and takes their scores; the loop lives in `natrl.search.loop`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from natrl.checks.kinds import subclass_of
from natrl.core.architecture import Architecture
from natrl.registry import Registry
from natrl.search.reachable import Reachable

__all__ = ["SEARCHES", "Identity", "ScoredSearch", "Search"]


class Search(ABC):
    """A search for a better architecture among those reachable from one.

    `best` is the best so far. Everything random comes from the generator, so a seed repeats a search.
    """

    name: ClassVar[str]

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        self.reachable = reachable
        self.rng = rng
        self.best = reachable.architecture

    @abstractmethod
    def propose(self) -> Architecture | None:
        """The next architecture to evaluate, never one that was proposed before; None when the search is over."""

    @abstractmethod
    def feedback(self, architecture: Architecture, score: float) -> None:
        """Takes the score, higher is better, of the architecture proposed last."""

    def answer(self) -> Architecture:
        """What it makes of the architecture, by all that it was told."""
        return self.best


class Identity(Search):
    """Leaves the architecture alone, and asks nothing."""

    name = "identity"

    def propose(self) -> None:
        return None

    def feedback(self, architecture: Architecture, score: float) -> None:
        raise ValueError(f"{self.name} proposes nothing")


class ScoredSearch(Search):
    """A search whose answer is the best it has seen. The original is proposed first, so the answer is never worse."""

    def __init__(self, reachable: Reachable, rng: np.random.Generator) -> None:
        super().__init__(reachable, rng)
        self.scores: dict[str, float] = {}  # by key
        self._proposed: set[str] = set()

    def propose(self) -> Architecture | None:
        proposal = self._next() if self._proposed else self.reachable.architecture
        if proposal is not None:
            self._proposed.add(proposal.key)
        return proposal

    def feedback(self, architecture: Architecture, score: float) -> None:
        if score > self.scores.get(self.best.key, -np.inf):
            self.best = architecture
        self.scores[architecture.key] = score

    @abstractmethod
    def _next(self) -> Architecture | None:
        """A proposal that `is_new`, or None."""

    def is_new(self, architecture: Architecture) -> bool:
        """Whether it was not proposed yet."""
        return architecture.key not in self._proposed


SEARCHES: Registry[type[Search]] = Registry("search method", subclass_of(Search), group="natrl.searches")
for _name, _target, _description in (
    ("identity", "method:Identity", "leaves the architecture alone"),
    ("random", "random:Random", "one random transition"),
    ("random-search", "random:RandomSearch", "the best of random transitions"),
    ("evolution", "evolution:Evolution", "regularized evolution"),
    ("additive", "additive:Additive", "the best changes of single slots, all at once, as if they added up"),
    ("local-search", "local:LocalSearch", "the best change of one slot, repeated"),
):
    SEARCHES.register(_name, f"natrl.search.{_target}", _description)
