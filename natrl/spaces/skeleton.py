"""The skeleton: how cells are stacked to a network. Counting and building both follow `Skeleton.plan`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, NamedTuple, TYPE_CHECKING

from annotated_doc import Doc

from natrl.checks.fields import check_fields, Range, Size
from natrl.checks.packages import needed
from natrl.core.architecture import Architecture, Cell
from natrl.spaces.networks import Images

if TYPE_CHECKING:
    from torch import nn

    from natrl.core.operations import Cost
    from natrl.spaces.counting import CostTable

__all__ = ["Block", "Skeleton"]


class Block(NamedTuple):
    """One block of the network: a cell, or (NAS-Bench-201) a residual block with stride 2 between stages."""

    cell: int | None  # index into architecture.cells; None: residual block
    channels: int  # of each slot of the cell
    in_channels: tuple[int, ...]  # of each input, nearest last
    halve: tuple[bool, ...]  # the input comes from before a reduction and is halved by its preprocessing
    size: int  # height = width in pixels of the (preprocessed) inputs
    out_channels: int


@dataclass(frozen=True)
class Skeleton:
    """How an architecture becomes a network.

    Architectures of two-input cells are stacked as in DARTS: stem to 3·channels, `cells` cells, of which those at 1/3
    and 2/3 of the depth are reductions that double the channels. One-input cells are stacked as in NAS-Bench-201: three
    stages of cells / 3 with a residual block of stride 2 between them.
    """

    channels: Annotated[Size, Doc("Channels of the first cells.")] = 36
    cells: Annotated[int, Range(1, 10_000), Doc("Number of stacked cells.")] = 20
    image_size: Annotated[Size, Doc("Height and width of the images in pixels.")] = 32
    image_channels: Annotated[Size, Doc("Channels of the images.")] = 3
    num_classes: Annotated[int, Range(1, 10**7), Doc("Number of classes.")] = 10
    stem: Annotated[str, Doc("cifar: a 3×3 convolution; imagenet: three, stride 2 (two-input cells only).")] = "cifar"

    def __post_init__(self) -> None:
        check_fields(self, "skeleton: ", in_full=True)
        if self.stem not in ("cifar", "imagenet"):
            raise ValueError(f"skeleton: unknown stem {self.stem!r}; known: cifar, imagenet")

    @property
    def reductions(self) -> tuple[int, ...]:
        """Positions (0 … cells−1) at 1/3 and 2/3 of the depth."""
        return tuple(sorted({self.cells // 3, 2 * self.cells // 3}))

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The channel counts that slots of a network can have."""
        return tuple(self.channels * 2**i for i in range(1 + len(self.reductions)))

    def plan(self, architecture: Architecture) -> tuple[Block, ...]:
        """The blocks from stem to classifier. ValueError if the cells fit neither way of stacking."""
        return _plan(self, architecture.cells)

    def cost(self, architecture: Architecture) -> Cost:
        """`natrl.network_cost` on this skeleton."""
        return self.cost_table(architecture).cost(architecture)

    def cost_table(self, architecture: Architecture) -> CostTable:
        """What each operation adds in each slot. ValueError if the skeleton cannot stack such cells."""
        from natrl.spaces.counting import cost_table  # which follows `plan`

        return cost_table(architecture.cells, self)

    def fitted(self, images: Images) -> Skeleton:
        """The skeleton whose networks take these images and tell their classes apart."""
        return replace(
            self, image_size=images.image_size, image_channels=images.image_channels, num_classes=images.num_classes
        )

    def build(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module:
        """`natrl.build_network` on this skeleton (named, not imported: this floor does without torch)."""
        network: nn.Module = needed("natrl.networks", "build_network")(architecture, self, auxiliary=auxiliary)
        return network

    def fresh(self, architecture: Architecture, *, auxiliary: bool = False) -> nn.Module:
        """The network, with weights drawn at random."""
        return self.build(architecture, auxiliary=auxiliary)

    def identity(self) -> dict[str, Any]:
        """What scores of its networks depend on, JSON-ready: part of their key in the ledger."""
        return {"skeleton": asdict(self)}

    @property
    def _stem_stride(self) -> int:
        return 8 if self.stem == "imagenet" else 1

    def _plan_two_inputs(self, cells: tuple[Cell, ...]) -> tuple[Block, ...]:
        imagenet = self.stem == "imagenet"
        before, last = (self.channels, self.channels) if imagenet else (3 * self.channels, 3 * self.channels)
        channels, size, halved = self.channels, -(-self.image_size // self._stem_stride), imagenet
        blocks = []
        for i in range(self.cells):
            reduction = i in self.reductions
            channels *= 2 if reduction else 1
            cell = 1 if reduction else 0
            out = channels * len(cells[cell].outputs)
            blocks.append(Block(cell, channels, (before, last), (halved, False), size, out))
            size = -(-size // 2) if reduction else size
            before, last, halved = last, out, reduction
        return tuple(blocks)

    def _plan_one_input(self, cells: tuple[Cell, ...]) -> tuple[Block, ...]:
        if self.stem == "imagenet":
            raise ValueError("skeleton: the imagenet stem needs cells with two inputs; use stem='cifar'")
        channels, size, last = self.channels, self.image_size, self.channels
        blocks = []
        for i in range(self.cells):
            if i in self.reductions and i > 0:
                blocks.append(Block(None, 2 * channels, (channels,), (False,), size, 2 * channels))
                channels, size = 2 * channels, -(-size // 2)
                last = channels
            out = channels * len(cells[0].outputs)
            if last != channels or out != channels:
                raise ValueError("skeleton: one-input cells need exactly one output node")
            blocks.append(Block(0, channels, (last,), (False,), size, out))
        return tuple(blocks)


def check_cells(cells: tuple[Cell, ...]) -> None:
    """ValueError if one of them is a whole network, which no skeleton stacks."""
    for cell in cells:
        if cell.strides is not None:
            raise ValueError(
                f"a skeleton stacks cells, but {cell.name!r} is a whole network with strides of its own: its space, "
                "which natrl.from_module made, says what it costs and builds it"
            )


@lru_cache(maxsize=4096)
def _plan(skeleton: Skeleton, cells: tuple[Cell, ...]) -> tuple[Block, ...]:
    inputs = {cell.inputs for cell in cells}
    names = [cell.name for cell in cells]
    check_cells(cells)
    if inputs == {2} and names == ["normal", "reduce"]:
        return skeleton._plan_two_inputs(cells)
    if inputs == {1} and len(names) == 1:
        return skeleton._plan_one_input(cells)
    raise ValueError(
        "a skeleton stacks a normal and a reduce cell with two inputs each, or one cell with one input; "
        f"got cells {', '.join(names)} with {', '.join(str(cell.inputs) for cell in cells)} inputs"
    )
