"""What a space is. A space of one's own is a subclass with a `sample` method (docs/own-space.md)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, TYPE_CHECKING

import numpy as np

from natrl.checks.arguments import checked
from natrl.checks.packages import needed
from natrl.core.architecture import Architecture
from natrl.core.operations import Cost, operation, VOCABULARY_INDEX
from natrl.core.registration import check_builders, vocabulary_cache
from natrl.core.transitions import affordable, check_choice, CostMode, Rule, transition_matrix
from natrl.spaces.batch import Batch
from natrl.spaces.counting import cost_table, CostTable
from natrl.spaces.encoding import operation_indices
from natrl.spaces.skeleton import Skeleton
from natrl.spaces.topologies import Topologies

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Space"]


UNTRAINED = "has no trained network, whose weights could be inherited"


class Space(ABC):
    """Which architectures exist, what they cost, and their networks. E slots, K primitives.

    A subclass sets `name`, `primitives`, `n_slots` and `skeleton`, and defines `sample`: its cells are stacked on the
    skeleton. One whose architectures are no cells of a skeleton says what they cost (`cost_table`, `costs_of`,
    `masks_of`) and what their networks are (`build`, `fitted`, `supernet`, `identity`) instead.
    """

    name: str
    primitives: tuple[str, ...]  # K operation names: the actions of a slot
    n_slots: int  # E, the same for every architecture of the space
    skeleton: Skeleton
    is_free: bool = True  # every slot can hold every primitive
    original: Architecture | None = None  # of a network that the user has: the network as it is
    prices_are_bounds = False  # sums of prices (`cost_table`) may be far above what a network costs

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random live architecture."""

    def samples(self, rng: np.random.Generator, n: int) -> Batch:
        """n random live architectures: those that n calls of `sample` would draw."""
        return Batch.of(self, [self.sample(rng) for _ in range(n)])

    @checked
    def check(self, architecture: Architecture) -> Architecture:
        """Returns the architecture. ValueError naming the slot and the reason if it is not one of this space."""
        if len(architecture.operations) != self.n_slots:
            n = len(architecture.operations)
            raise ValueError(f"space {self.name!r} has {self.n_slots} slots, this architecture has {n}")
        for i, op in enumerate(architecture.operations):
            if op not in self.primitives:
                valid = ", ".join(self.primitives)
                raise ValueError(f"slot {i}: {op!r} is not a primitive of space {self.name!r}; they are: {valid}")
        self.check_cells(architecture)
        return architecture

    def check_cells(self, architecture: Architecture) -> None:
        """ValueError if the cells are not of a kind that this space has."""
        self.skeleton.plan(architecture)

    def architectures(self) -> Iterator[Architecture]:
        """Every architecture, where the space is small enough to list. ValueError otherwise."""
        raise ValueError(f"space {self.name!r} is too large to list")

    @property
    def is_listed(self) -> bool:
        """Whether `architectures` lists the space."""
        return type(self).architectures is not Space.architectures

    @checked
    def cost(self, architecture: Architecture) -> Cost:
        """What the network costs, dead slots counted."""
        return self.cost_table(architecture).cost(architecture)

    def cost_table(self, architecture: Architecture) -> CostTable:
        """What each operation adds in each slot to the network of this topology, and what is there without them."""
        return cost_table(architecture.cells, self.skeleton)

    def costs_of(self, choices: np.ndarray, topologies: Topologies) -> np.ndarray:
        """int64 (B, 2): parameters and MAdds of the networks with primitives `choices` int (B, E)."""
        return topologies.costs(choices, self.primitives, self.skeleton)

    def pruned(self, batch: Batch) -> Batch:
        """The batch without what a transform left unused: here as it is, since dead slots count (arXiv 2102.10301)."""
        return batch

    def prune(self, architecture: Architecture) -> Architecture:
        """`pruned` of one architecture."""
        return self.pruned(Batch.of(self, [architecture]))[0]

    @checked
    def masks(self, architecture: Architecture, rule: Rule = "nat++", cost: CostMode = "strict") -> np.ndarray:
        """bool (E, K): the primitives that each slot may become.

        cost="strict": only what raises neither parameters nor MAdds at its slot; "rule": the published rule alone;
        "live": as strict, and no skip that would bring a dead part of the cell back to life.
        """
        return self.batch_masks([architecture], rule, cost)[0]

    def batch_masks(
        self, architectures: Sequence[Architecture], rule: Rule = "nat++", cost: CostMode = "strict"
    ) -> np.ndarray:
        """bool (B, E, K): `masks` of many architectures."""
        masks = self.masks_of(operation_indices(architectures), Topologies.of(architectures), rule, cost)
        if not masks.any(-1).all():  # no primitive is allowed, so the operation held is none: check says which
            for architecture in architectures:
                self.check(architecture)
        return masks

    def masks_of(self, ops: np.ndarray, topologies: Topologies, rule: Rule, cost: CostMode) -> np.ndarray:
        """bool (B, E, K): masks where slots hold the operations of vocabulary indices `ops` int (B, E)."""
        masks = mask_tables(self.primitives, rule, cost, self.skeleton.widths)[topologies.strides - 1, ops]
        return self.without_revivals(masks, ops, topologies) if cost == "live" else masks

    def without_revivals(self, masks: np.ndarray, ops: np.ndarray, topologies: Topologies) -> np.ndarray:
        """The masks, changed: no skip that would bring a dead part of the cell back to life."""
        if "skip_connect" in self.primitives:
            skip = self.primitives.index("skip_connect")
            masks[:, :, skip] &= ~topologies.revived(ops != VOCABULARY_INDEX["null"])
        return masks

    # Networks: where they are made is named, not imported, since spaces do without torch.

    def on(self, skeleton: Skeleton) -> Space:
        """The same architectures on another skeleton. ValueError where they are no cells that a skeleton stacks."""
        space = copy(self)
        object.__setattr__(space, "skeleton", skeleton)  # a space may be a frozen dataclass
        return space

    def fitted(self, images: Any) -> Space:
        """The space whose networks take these images (such as a `natrl.data.ImageData`) and tell their classes apart.

        ValueError where they cannot, or a primitive has no builder.
        """
        check_builders(self.primitives)
        return self.on(self.skeleton.fitted(images))

    def build(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module:
        """The network of an architecture: images (B, C, H, W) → logits (B, classes).

        `auxiliary`: in training it gives (logits, logits of an auxiliary head), which no count includes. ValueError if
        the architecture is none of the space, or there is no such head.
        """
        return self.skeleton.build(self.check(architecture), auxiliary=auxiliary)

    def fresh(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module:
        """`build` with all weights drawn at random, to be trained from scratch."""
        return self.build(architecture, auxiliary=auxiliary)

    def supernet(self, reference: Any) -> nn.Module:
        """One set of weights for all architectures (`natrl.training.supernet.Supernet` says what it does).

        `reference`, float32 (N, C, H, W): unlabelled images of the training split, which weights may be fitted on. What
        is drawn comes from torch's default generator. ValueError where a space has none.
        """
        supernet: nn.Module = needed("natrl.networks.cell_supernet", "CellSupernet")(self, self.skeleton)
        return supernet

    def inheritance(self, reference: Any, *, seed: int, device: Any) -> Any:
        """What gives architectures the weights of a trained network (`natrl.modules.inherit.Inheritance`).

        `reference`, float32 (N, C, H, W): unlabelled images of the training split. ValueError where none was trained.
        """
        raise ValueError(f"space {self.name!r} {UNTRAINED}")

    def lacks(self, what: str) -> str:
        """Why its networks have no "supernet", or no "inheritance": what follows the space's name; empty: they have."""
        return UNTRAINED if what == "inheritance" and type(self).inheritance is Space.inheritance else ""

    def identity(self) -> dict[str, Any]:
        """What scores of its networks depend on, JSON-ready: part of their key in the ledger."""
        return self.skeleton.identity()

    def __repr__(self) -> str:
        return f"<space {self.name}: {self.n_slots} slots, {len(self.primitives)} primitives>"


@vocabulary_cache(None)
def mask_tables(primitives: tuple[str, ...], rule: Rule, cost: CostMode, widths: tuple[int, ...]) -> np.ndarray:
    """bool (2, V, K), read-only: [stride − 1, vocabulary index of the operation held, primitive]."""
    check_choice("cost mode", cost, CostMode)
    tables = np.zeros((2, len(VOCABULARY_INDEX), len(primitives)), dtype=bool)
    rows = [VOCABULARY_INDEX[operation(p).name] for p in primitives]
    for stride in (1, 2):
        allowed = transition_matrix(primitives, rule)
        tables[stride - 1, rows] = allowed if cost == "rule" else allowed & affordable(primitives, widths, stride)
    tables.setflags(write=False)
    return tables
