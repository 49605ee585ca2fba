"""The layers of a network that can be replaced, and what they can hold."""

from __future__ import annotations

from dataclasses import dataclass

from natrl.core.operations import BUILT_IN, Cost, VOCABULARY

__all__ = ["NULL", "LAYER_PRIMITIVES", "SKIP", "ModuleSlot"]


#: What a layer of a network can hold or become: all but the pairs of convolutions, which no single layer is. The same
#: for every network, so that a policy can go from one to another.
LAYER_PRIMITIVES = tuple(
    name for name in BUILT_IN if VOCABULARY[name].type != "conv_1xk_kx1" and not VOCABULARY[name].is_width
)
NULL, SKIP = LAYER_PRIMITIVES.index("null"), LAYER_PRIMITIVES.index("skip_connect")


@dataclass(frozen=True)
class ModuleSlot:
    """A layer of a network that can be replaced.

    Shapes are of its first call: (channels, height, width), or (channels, length) and (channels, depth, height, width)
    where it goes along one axis or three; of a linear layer or block (…, channels).
    """

    index: int  # of the slot among the architecture's operations
    name: str  # of the layer in the model, as named_modules has it
    operation: str  # that the layer holds
    layer: str  # what it is: as its operation, with its own kernel and groups; "linear"; a block's type
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    stride: tuple[int, ...]  # along each axis: rows, columns
    calls: int  # in one forward pass
    cost: Cost  # of the layer, all calls
    before: tuple[str, ...]  # slots (or "input") whose outputs it reads, through layers that stay
    after: tuple[str, ...]  # slots (or "output") that read its output

    @property
    def in_channels(self) -> int:
        return self.in_shape[self._axis]

    @property
    def out_channels(self) -> int:
        return self.out_shape[self._axis]

    @property
    def _axis(self) -> int:
        return -1 if self.layer == "linear" or self.operation == "block" else 0
