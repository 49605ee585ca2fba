"""Operations: type + kernel, and the stages of convolutions that each consists of.

One vocabulary serves every space. Costs come from the same stages that `natrl.networks` turns into torch modules,
so what is counted is what is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from reprlib import repr as short
from typing import Any, NamedTuple

__all__ = ["PRIMITIVES", "VOCABULARY", "Convolution", "Cost", "Operation", "Record", "operation", "stages"]

#: Low rank: a pointwise operation as two, through fewer channels than the full rank: by type, through how large a part.
LOW_RANKS = {"low_rank_2": 2, "low_rank_4": 4, "low_rank_8": 8}
#: Widths: how many of the channels a group of layers keeps between them. By type, the share; of a user's network alone.
WIDTHS = {"channels": Fraction(1)} | {f"channels_{n}_{d}": Fraction(n, d) for n, d in ((3, 4), (1, 2), (1, 4))}
#: The types. Those of registered operations follow; policies hold an embedding for each.
TYPES = ["conv", "sep_conv", "dil_conv", "max_pool", "avg_pool", "skip_connect", "null", "conv_1xk_kx1"]
TYPES += [*LOW_RANKS, "block", *WIDTHS]
KERNELS = [7, 5, 3, 2, 1, 0]  # 0: the type has no kernel
#: Type level: a forward jump is allowed; equal ranks (the two poolings) change freely into each other. NAT++ has conv →
#: separable → dilated → pooling; between the first two is the ladder of low ranks.
TYPE_RANK = {
    name: rank
    for rank, names in enumerate((["conv"], *([name] for name in LOW_RANKS), ["sep_conv"], ["dil_conv"]))
    for name in names
}
TYPE_RANK |= dict.fromkeys(("max_pool", "avg_pool"), len(TYPE_RANK))


@dataclass(frozen=True, order=True)
class Operation:
    """What a slot computes: a type, and a kernel size in pixels (0 for skip_connect, null, block and widths)."""

    type: str
    kernel: int = 0

    @property
    def name(self) -> str:
        """The operation's name, such as "sep_conv_3x3" (the spelling of DARTS and NAT)."""
        if (record := NAMES_OF.get((self.type, self.kernel))) is not None:
            return record
        if self.type == "conv_1xk_kx1":
            return f"conv_1x{self.kernel}_{self.kernel}x1"
        if self.type in LOW_RANKS:
            return self.type
        return f"{self.type}_{self.kernel}x{self.kernel}" if self.kernel else self.type

    @property
    def is_pooling(self) -> bool:
        return self.type in ("max_pool", "avg_pool")

    @property
    def is_low_rank(self) -> bool:
        return self.type in LOW_RANKS

    @property
    def is_width(self) -> bool:
        return self.type in WIDTHS

    def rank(self, in_channels: int, out_channels: int) -> int:
        """The channels between the two pointwise convolutions of a low-rank operation: at least one."""
        return max(1, min(in_channels, out_channels) // LOW_RANKS[self.type])


#: Names of the known operations by type and kernel.
NAMES_OF: dict[tuple[str, int], str] = {}


def _vocabulary() -> dict[str, Operation]:
    square = [Operation(t, k) for t in ("conv", "sep_conv", "dil_conv", "max_pool", "avg_pool") for k in (7, 5, 3)]
    others = [("conv", 1), ("skip_connect", 0), ("null", 0), ("conv_1xk_kx1", 3), ("conv_1xk_kx1", 7)]
    others += [("max_pool", 2), ("avg_pool", 2), *((kind, 1) for kind in LOW_RANKS)]
    others += [("block", 0), *((kind, 0) for kind in WIDTHS)]
    return {op.name: op for op in (*square, *(Operation(*kind) for kind in others))}


#: Every known operation by name, in the order that observations and policy embeddings use. Append only.
VOCABULARY: dict[str, Operation] = _vocabulary()
#: Other spellings that repositories print → ours.
ALIASES: dict[str, str] = {
    "none": "null",
    "nor_conv_1x1": "conv_1x1",
    "nor_conv_3x3": "conv_3x3",
    "conv_3x1_1x3": "conv_1x3_3x1",
    "conv_7x1_1x7": "conv_1x7_7x1",
}
VOCABULARY_INDEX: dict[str, int] = {name: i for i, name in enumerate(VOCABULARY)}
#: What natrl brings; those that users register follow in VOCABULARY.
BUILT_IN = tuple(VOCABULARY)

#: The 13 primitives of NAT++ (arXiv 2102.10301, section 4.1).
PRIMITIVES: tuple[str, ...] = (
    *("conv_5x5", "conv_3x3", "conv_1x1", "sep_conv_5x5", "sep_conv_3x3", "dil_conv_5x5", "dil_conv_3x3"),
    *("max_pool_5x5", "max_pool_3x3", "avg_pool_5x5", "avg_pool_3x3", "skip_connect", "null"),
)


def operation(name: str) -> Operation:
    """The operation of that name, or of another spelling of it ("none" is "null"). ValueError lists the known names."""
    try:
        return VOCABULARY[ALIASES.get(name, name)]
    except (KeyError, TypeError):
        known = [name for name, op in VOCABULARY.items() if not op.is_width]  # which stand in no genotype
        raise ValueError(f"unknown operation {short(name)}; known: {', '.join(known)}") from None


def canonical(names: Iterable[str]) -> tuple[str, ...]:
    """The names as the vocabulary spells them; unknown ones as they are."""
    return tuple(ALIASES.get(name, name) for name in names)


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of one image (both counts, not millions)."""

    params: int = 0
    madds: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.params + other.params, self.madds + other.madds)

    def __le__(self, other: Cost) -> bool:
        """True where neither count is higher (a partial order)."""
        return self.params <= other.params and self.madds <= other.madds

    @staticmethod
    def total(costs: Iterable[Cost]) -> Cost:
        return sum(costs, Cost())


class Convolution(NamedTuple):
    """One convolution without bias, padded so that the output has ceil(size / stride) rows and columns."""

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: int = 1
    groups: int = 1

    @property
    def weights(self) -> int:
        return self.out_channels * self.in_channels // self.groups * self.kernel[0] * self.kernel[1]


Stages = tuple[tuple[Convolution, ...], ...]


@dataclass(frozen=True)
class Record:
    """An operation and all that is known of it.

    `stages`(in_channels, out_channels, stride): its convolutions, each stage followed by a batch-norm; or
    `cost`(in_channels, out_channels, height, width, stride): the Cost of its module. `build`(in_channels, out_channels,
    stride), or "module:object": its torch module; None: made from the stages. `may_become`: names; None: the ladders.
    """

    name: str
    operation: Operation
    stages: Callable[[int, int, int], Stages] | None = None
    cost: Callable[[int, int, int, int, int], Cost] | None = None
    build: Callable[[int, int, int], Any] | str | None = None
    may_become: tuple[str, ...] | None = None
    color: str | None = None

    def __post_init__(self) -> None:
        if (self.stages is None) == (self.cost is None):
            raise ValueError(f"operation {self.name!r} needs stages or a cost function, and not both")


def _built_in_stages(op: Operation) -> Callable[[int, int, int], Stages]:
    """As in the public code of DARTS and NAT.

    A separable convolution applies depthwise + pointwise twice, a dilated one once (dilation 2), and a skip with stride
    2 is a factorized reduction, whose two 1×1 convolutions run side by side; between different widths it is one. A
    low-rank operation is two 1×1 convolutions one after the other (Denil et al. 2013, arXiv 1306.0543). A block, which
    is what a user's network has there, is in no cell.
    """
    k = op.kernel

    def of(c: int, out: int, s: int) -> Stages:
        def depthwise_pointwise(out: int, stride: int, dilation: int) -> tuple[Convolution, Convolution]:
            return Convolution(c, c, (k, k), (stride, stride), dilation, groups=c), Convolution(c, out, (1, 1))

        match op.type:
            case "conv":
                return ((Convolution(c, out, (k, k), (s, s)),),)
            case "sep_conv":
                return (depthwise_pointwise(c, s, 1), depthwise_pointwise(out, 1, 1))
            case "dil_conv":
                return (depthwise_pointwise(out, s, 2),)
            case "conv_1xk_kx1":
                return ((Convolution(c, out, (1, k), (1, s)), Convolution(out, out, (k, 1), (s, 1))),)
            case kind if kind in LOW_RANKS:
                return ((Convolution(c, op.rank(c, out), (1, 1), (s, s)), Convolution(op.rank(c, out), out, (1, 1))),)
            case "skip_connect" if c != out:
                return ((Convolution(c, out, (1, 1), (s, s)),),)
            case "skip_connect" if s > 1:
                return ((Convolution(c, c // 2, (1, 1), (s, s)), Convolution(c, c - c // 2, (1, 1), (s, s))),)
        if c != out:
            raise ValueError(f"{op.name} keeps its channels: {c} cannot become {out}")
        return ()

    return of


#: The records of the known operations by name, in the order of VOCABULARY.
RECORDS: dict[str, Record] = {name: Record(name, op, _built_in_stages(op)) for name, op in VOCABULARY.items()}
RECORDS["block"] = Record("block", VOCABULARY["block"], cost=lambda *_: Cost())  # counted where it stands
RECORDS |= {
    name: Record(name, VOCABULARY[name], cost=lambda *_: Cost(), may_become=tuple(WIDTHS)[place:])
    for place, name in enumerate(WIDTHS, start=1)
}
NAMES_OF.update({(op.type, op.kernel): name for name, op in VOCABULARY.items()})


@cache
def stages(name: str, channels: int, stride: int = 1, out_channels: int | None = None) -> Stages:
    """The ReLU-convolutions-BatchNorm stages of an operation, first to last; pooling, null and identity have none.

    `out_channels`: None: as many as come in. ValueError on an unknown name, or one that keeps its channels.
    """
    operation(name)
    record = RECORDS[ALIASES.get(name, name)]
    return () if record.stages is None else record.stages(channels, out_channels or channels, stride)
