"""Chains: layers one after the other, each with widths and a stride of its own.

E layers, K primitives, V vocabulary, B batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from itertools import pairwise, product
from typing import Any, NamedTuple, TYPE_CHECKING

import numpy as np

from natrl.checks.arguments import checked
from natrl.checks.packages import needed
from natrl.core.architecture import Architecture, Cell
from natrl.core.operation_costs import network_operation_cost, stages_cost
from natrl.core.operations import Convolution, Cost, operation, VOCABULARY, VOCABULARY_INDEX
from natrl.core.registration import check_builders, receive_operations, registered_operations
from natrl.core.transitions import check_choice, CostMode, Rule, transition_matrix
from natrl.spaces.base import Space
from natrl.spaces.batch import Batch
from natrl.spaces.counting import CostTable
from natrl.spaces.skeleton import Skeleton
from natrl.spaces.topologies import Topologies

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ChainSpace", "Layer"]

MAX_LISTED = 2**20


class Layer(NamedTuple):
    """A place of a chain: what comes in, what goes out, and by what the stride divides height and width."""

    in_channels: int
    out_channels: int
    stride: int = 1


APART = "is a chain, whose layers share no weights: score it by a table or from scratch"


class ChainSpace(Space):
    """A stem, layers that hold one operation each, a head, the average over the image and a linear classifier.

    `stem` and `head` are convolutions, each followed by batch-norm and ReLU. skip_connect is the identity, or a 1×1
    convolution with batch-norm where channels change. Every primitive can stand in every layer; null cannot.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[Layer | tuple[int, ...]],
        primitives: Sequence[str],
        *,
        stem: Sequence[Convolution],
        head: Sequence[Convolution] = (),
        num_classes: int = 10,
        image_size: int = 32,
    ) -> None:
        """ValueError if channels do not fit, or an operation cannot stand in a layer."""
        self.name, self.layers = name, tuple(Layer(*layer) for layer in layers)
        self.primitives = tuple(operation(p).name for p in primitives)
        self.stem, self.head = tuple(stem), tuple(head)
        self.num_classes, self.image_size = num_classes, image_size
        self.n_slots = len(self.layers)
        if "null" in self.primitives:
            raise ValueError(f"space {name!r}: null would cut a chain; skip_connect is the least that a layer can do")
        self._check_widths()
        edges = tuple((i, i + 1) for i in range(self.n_slots))
        strides = tuple(layer.stride for layer in self.layers)
        self.cells = (Cell("chain", 1, edges, (self.n_slots,), strides=strides),)
        self._table = self._counted()

    def _check_widths(self) -> None:
        """ValueError naming the first part whose input has other channels than what comes before it gives."""
        if not self.layers or not self.stem:
            raise ValueError(f"space {self.name!r}: a chain needs a stem and at least one layer")
        named: dict[str, tuple[Any, ...]] = {"stem": self.stem, "layer": self.layers, "head": self.head}
        parts = [(f"{what} {i}", part) for what, members in named.items() for i, part in enumerate(members)]
        for (before, one), (after, other) in pairwise(parts):
            given, taken = one.out_channels, other.in_channels
            if given != taken:
                raise ValueError(f"space {self.name!r}: {after} takes {taken} channels, {before} gives {given}")

    @property
    def features(self) -> int:
        """Channels that the classifier reads."""
        return (self.head or self.layers)[-1].out_channels

    def _counted(self) -> CostTable:
        size = self.image_size
        fixed = Cost(self.features * self.num_classes + self.num_classes, self.features * self.num_classes)
        fixed += stages_cost(tuple((conv,) for conv in self.stem), size, size)
        for conv in self.stem:
            size = -(-size // conv.stride[0])
        slots = np.zeros((self.n_slots, len(VOCABULARY), 2), dtype=np.int64)
        for e, layer in enumerate(self.layers):
            for name in self.primitives:
                try:
                    cost = network_operation_cost(name, layer.in_channels, size, size, layer.stride, layer.out_channels)
                except ValueError as error:
                    raise ValueError(f"space {self.name!r}, layer {e}: {error}") from None
                slots[e, VOCABULARY_INDEX[name]] = cost.params, cost.madds
            size = -(-size // layer.stride)
        return CostTable(fixed + stages_cost(tuple((conv,) for conv in self.head), size, size), slots)

    def __getstate__(self) -> dict[str, Any]:
        """What it was made of, and the operations that were registered: other processes count them anew."""
        names = ("name", "layers", "primitives", "stem", "head", "num_classes", "image_size")
        return {name: getattr(self, name) for name in names} | {"operations": registered_operations()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        receive_operations(state.pop("operations"))
        self.__init__(state.pop("name"), state.pop("layers"), state.pop("primitives"), **state)  # type: ignore[misc]

    def __deepcopy__(self, memo: Any) -> ChainSpace:
        return self  # a value; Gymnasium and RLlib copy the arguments of environments

    # Architectures

    def architecture(self, operations: Sequence[str]) -> Architecture:
        """The chain of these operations, one a layer. ValueError if it is not one of this space."""
        return self.check(Architecture(self.cells, tuple(operation(name).name for name in operations)))

    def check_cells(self, architecture: Architecture) -> None:
        """ValueError if the architecture is another chain, or none."""
        if architecture.cells != self.cells:
            raise ValueError(
                f"space {self.name!r} has one chain of {self.n_slots} layers with strides {self.cells[0].strides}"
            )

    @checked
    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random architecture, every operation of a layer as likely."""
        return self.samples(rng, 1)[0]

    def samples(self, rng: np.random.Generator, n: int) -> Batch:
        """n random architectures: those that n calls of `sample` would draw."""
        drawn = rng.integers(len(self.primitives), size=(n, self.n_slots))
        return Batch(self, Topologies.shared(self.cells), drawn)

    @property
    def is_listed(self) -> bool:
        """Whether `architectures` lists the space."""
        return len(self.primitives) ** self.n_slots <= MAX_LISTED

    def architectures(self) -> Iterator[Architecture]:
        """Every architecture. ValueError if there are more than a million."""
        if not self.is_listed:
            return super().architectures()
        return (Architecture(self.cells, ops) for ops in product(self.primitives, repeat=self.n_slots))

    # Costs and masks

    def cost_table(self, architecture: Architecture) -> CostTable:
        """What each operation adds in each layer, and what is there without them."""
        return self._table

    def costs_of(self, choices: np.ndarray, topologies: Topologies) -> np.ndarray:
        """int64 (B, 2): parameters and MAdds of the networks with primitives `choices` int (B, E)."""
        costs = self._table.slots[:, [VOCABULARY_INDEX[p] for p in self.primitives]]
        fixed = np.array([self._table.fixed.params, self._table.fixed.madds])
        return fixed + costs[np.arange(self.n_slots), choices].sum(1)

    def masks_of(self, ops: np.ndarray, topologies: Topologies, rule: Rule, cost: CostMode) -> np.ndarray:
        """bool (B, E, K): masks where layers hold the operations of vocabulary indices `ops` int (B, E)."""
        check_choice("cost mode", cost, CostMode)
        columns = [VOCABULARY_INDEX[p] for p in self.primitives]
        allowed = np.repeat(transition_matrix(self.primitives, rule)[None], self.n_slots, 0)
        if cost != "rule":
            costs = self._table.slots[:, columns]  # (E, K, 2)
            allowed &= (costs[:, None] <= costs[:, :, None]).all(-1)
        table = np.zeros((self.n_slots, len(VOCABULARY), len(columns)), dtype=bool)
        table[:, columns] = allowed
        masks: np.ndarray = table[np.arange(self.n_slots), ops]
        return masks

    # Networks

    def on(self, skeleton: Skeleton) -> Space:
        """ValueError: a chain is a whole network."""
        raise ValueError(f"{self.name} is a chain of layers, not cells to be stacked: it has no skeleton")

    def fitted(self, images: Any) -> Space:
        """The chain for such images: their size and classes. ValueError on other channels, and as of any space."""
        check_builders(self.primitives)
        taken, given = self.stem[0].in_channels, images.image_channels
        if given != taken:
            raise ValueError(f"space {self.name!r}: its stem takes {taken} channels, the images have {given}")
        fitting = copy(self)
        fitting.num_classes, fitting.image_size = images.num_classes, images.image_size
        fitting._table = fitting._counted()
        return fitting

    def build(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module:
        """The network of an architecture: images (B, C, H, W) → logits (B, classes).

        ValueError if the architecture is none of the space, an operation has no builder, or with `auxiliary`.
        """
        if auxiliary:
            raise ValueError(f"space {self.name!r}: a chain has no auxiliary head")
        network: nn.Module = needed("natrl.networks.chain", "ChainNetwork")(self, self.check(architecture))
        return network

    def supernet(self, reference: Any) -> nn.Module:
        """ValueError: the layers of a chain share no weights."""
        raise ValueError(f"space {self.name!r} {APART}")

    def lacks(self, what: str) -> str:
        return APART if what == "supernet" else super().lacks(what)

    def identity(self) -> dict[str, Any]:
        """What scores of its networks depend on, JSON-ready."""
        ends = {"stem": self.stem, "head": self.head}
        return {
            "layers": [list(layer) for layer in self.layers],
            **{name: [list(map(str, conv)) for conv in part] for name, part in ends.items()},
            "num_classes": self.num_classes,
            "image_size": self.image_size,
        }
