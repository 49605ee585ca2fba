"""Operations (type + kernel) and what each one costs.

One vocabulary serves every space. Costs come from the same stages that `natrl.networks` turns into torch modules,
so what is counted is what is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from reprlib import repr as short
from typing import Any, NamedTuple, ParamSpec, TypeVar

from natrl.checks.arguments import checked

__all__ = [
    "PRIMITIVES",
    "VOCABULARY",
    "Convolution",
    "Cost",
    "Operation",
    "Record",
    "check_builders",
    "operation",
    "operation_cost",
    "register_operation",
    "stages",
]

#: Low rank: a pointwise operation as two, through fewer channels than the full rank: by type, through how large a part.
LOW_RANKS = {"low_rank_2": 2, "low_rank_4": 4, "low_rank_8": 8}
#: Widths: how many of the channels a group of layers keeps between them. By type, the share; of a user's network alone.
WIDTHS = {
    "channels": Fraction(1),
    "channels_3_4": Fraction(3, 4),
    "channels_1_2": Fraction(1, 2),
    "channels_1_4": Fraction(1, 4),
}
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

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Operation:
    """What a slot computes: a type, and a kernel size in pixels (0 for skip_connect, null, block and widths)."""

    type: str
    kernel: int = 0

    @property
    def name(self) -> str:
        """The operation's name, such as "sep_conv_3x3" (the spelling of DARTS and NAT)."""
        if (record := _NAMED.get((self.type, self.kernel))) is not None:
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
_NAMED: dict[tuple[str, int], str] = {}


def _vocabulary() -> dict[str, Operation]:
    square = [Operation(t, k) for t in ("conv", "sep_conv", "dil_conv", "max_pool", "avg_pool") for k in (7, 5, 3)]
    others = [
        Operation("conv", 1),
        Operation("skip_connect"),
        Operation("null"),
        Operation("conv_1xk_kx1", 3),
        Operation("conv_1xk_kx1", 7),
        Operation("max_pool", 2),
        Operation("avg_pool", 2),
        *(Operation(kind, 1) for kind in LOW_RANKS),
        Operation("block"),
        *(Operation(kind) for kind in WIDTHS),
    ]
    return {op.name: op for op in square + others}


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
    "conv_5x5",
    "conv_3x3",
    "conv_1x1",
    "sep_conv_5x5",
    "sep_conv_3x3",
    "dil_conv_5x5",
    "dil_conv_3x3",
    "max_pool_5x5",
    "max_pool_3x3",
    "avg_pool_5x5",
    "avg_pool_3x3",
    "skip_connect",
    "null",
)


def operation(name: str) -> Operation:
    """The operation of that name, or of another spelling of it ("none" is "null"). ValueError lists the known names."""
    try:
        return VOCABULARY[ALIASES.get(name, name)]
    except (KeyError, TypeError):
        raise ValueError(f"unknown operation {short(name)}; known: {', '.join(VOCABULARY)}") from None


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
_NAMED.update({(op.type, op.kernel): name for name, op in VOCABULARY.items()})
_RECEIVED: set[str] = set()  # operations that another process registered
_CACHES: list[Callable[[], None]] = []


def vocabulary_cache(maxsize: int | None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """`lru_cache` for what has a row for each operation of the vocabulary: forgotten when one is registered."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        cached = lru_cache(maxsize)(function)
        _CACHES.append(cached.cache_clear)
        return cached  # type: ignore[return-value]  # called as the function is

    return decorate


@checked
def register_operation(
    name: str,
    *,
    type: str,
    kernel: int = 0,
    stages: Callable[[int, int, int], Stages] | None = None,
    cost: Callable[[int, int, int, int, int], Cost] | None = None,
    build: Callable[[int, int, int], Any] | str | None = None,
    may_become: Iterable[str] | None = None,
    color: str | None = None,
) -> Operation:
    """Makes an operation known by its name: to spaces, masks, costs, policies, pictures, and Ray's workers.

    `type` and `kernel` (pixels, 0: none) place it on the ladders of the rule; a type that is on none needs
    `may_become`, the names of what it may become besides itself, skip_connect and null (a name may come later). What
    `stages`, `cost` and `build` are: `Record`. `color`, "#rrggbb": of its type in pictures. ValueError if the name, or
    type and kernel, are taken, or something is missing.
    """
    if not isinstance(name, str) or not (name.isidentifier() and name.isascii()):
        raise ValueError(f"the name of an operation is a word of letters, digits and underscores, got {short(name)}")
    if not _is_kernel(kernel):
        raise ValueError(f"operation {name!r}: kernel must be a whole number of at least 0, got {short(kernel)}")
    if may_become is None and type not in TYPE_RANK:
        known = ", ".join(TYPE_RANK)
        raise ValueError(
            f"operation {name!r}: type {short(type)} is on no ladder; say what it may become, or take one of {known}"
        )
    places = None if may_become is None else tuple(may_become)
    record = Record(name, Operation(type, kernel), stages, cost, build, places, color)
    if name in _RECEIVED and RECORDS[name].operation == record.operation:
        return RECORDS[name].operation  # the module that registered it elsewhere is imported here, too
    if name in VOCABULARY or name in ALIASES:
        raise ValueError(f"operation {name!r} is registered already")
    if (other := _NAMED.get((type, kernel))) is not None:
        raise ValueError(f"operation {name!r}: type {type!r} with kernel {kernel} is {other} already")
    _take(record)
    return record.operation


def _is_kernel(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _take(record: Record) -> None:
    op = record.operation
    if op.type not in TYPES:
        TYPES.append(op.type)
    if op.kernel not in KERNELS:
        KERNELS.append(op.kernel)
    VOCABULARY_INDEX[record.name] = len(VOCABULARY)
    VOCABULARY[record.name], RECORDS[record.name] = op, record
    _NAMED[op.type, op.kernel] = record.name
    for forget in _CACHES:
        forget()


def registered_operations() -> tuple[Record, ...]:
    """The records of operations that natrl does not bring, in the order of VOCABULARY."""
    return tuple(RECORDS.values())[len(BUILT_IN) :]


def check_builders(names: Iterable[str]) -> None:
    """ValueError if an operation has neither builder nor stages, so that there are no networks of it."""
    for name in names:
        record = RECORDS[operation(name).name]
        if record.name == "block" or record.operation.is_width:
            raise ValueError(f"operation {record.name!r} is a part of a user's own network: there are no cells of it")
        if record.build is None and record.stages is None:
            raise ValueError(
                f"operation {record.name!r} has no builder: register it with build=, to have networks of it"
            )


def receive_operations(records: Iterable[Record]) -> None:
    """Takes what another process registered; what is known here already stays as it is."""
    for record in records:
        if record.name not in VOCABULARY:
            _take(record)
            _RECEIVED.add(record.name)


@cache
def stages(name: str, channels: int, stride: int = 1, out_channels: int | None = None) -> Stages:
    """The ReLU-convolutions-BatchNorm stages of an operation, first to last; pooling, null and identity have none.

    `out_channels`: None: as many as come in. ValueError on an unknown name, or one that keeps its channels.
    """
    operation(name)
    record = RECORDS[ALIASES.get(name, name)]
    return () if record.stages is None else record.stages(channels, out_channels or channels, stride)


def _check_geometry(**sizes: int) -> None:
    for label, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{label} must be a whole number of at least 1, got {value!r}")


def operation_cost(
    op: str | Operation, *, channels: int = 128, height: int = 32, width: int = 32, stride: int = 1
) -> Cost:
    """Cost of one operation as in the papers' tables: convolution weights only, the work of poolings and skips counted.

    `channels` in and out; `height` and `width` of the input in pixels. A pooling counts kernel² and a skip 1 per output
    value; null counts nothing. ValueError on an unknown operation or a size below 1.
    (What a network counts is `network_operation_cost`: batch-norm parameters too, poolings and skips free.)
    """
    op = op if isinstance(op, Operation) else operation(op)
    _check_geometry(channels=channels, height=height, width=width, stride=stride)
    cost = _convolution_cost(op.name, channels, height, width, stride, norm=False)
    values = channels * -(-height // stride) * -(-width // stride)
    if op.is_pooling:
        return Cost(0, op.kernel**2 * values)
    return Cost(0, values) if op.type == "skip_connect" and stride == 1 else cost


def network_operation_cost(
    name: str, channels: int, height: int, width: int, stride: int = 1, out_channels: int | None = None
) -> Cost:
    """What an operation adds to its network: convolutions and affine batch-norms; MAdds of convolutions only."""
    return _convolution_cost(name, channels, height, width, stride, norm=True, out_channels=out_channels)


def _convolution_cost(
    name: str, channels: int, height: int, width: int, stride: int, *, norm: bool, out_channels: int | None = None
) -> Cost:
    out_channels = out_channels or channels
    if (own := RECORDS[name].cost) is not None:
        return own(channels, out_channels, height, width, stride)
    parts = stages(name, channels, stride, out_channels)
    return stages_cost(parts, height, width, norm=norm, parallel=name == "skip_connect")


def stages_cost(parts: Stages, height: int, width: int, *, norm: bool = True, parallel: bool = False) -> Cost:
    """Cost of stages on images of that size; `parallel`: the convolutions of a stage run side by side."""
    params = madds = 0
    for stage in parts:
        out_h, out_w = height, width
        for conv in stage:
            out_h = -(-height // conv.stride[0]) if parallel else -(-out_h // conv.stride[0])
            out_w = -(-width // conv.stride[1]) if parallel else -(-out_w // conv.stride[1])
            params += conv.weights
            madds += conv.weights * out_h * out_w
        height, width = out_h, out_w
        outputs = sum(conv.out_channels for conv in stage) if parallel else stage[-1].out_channels
        params += 2 * outputs if norm else 0
    return Cost(params, madds)
