"""Operations (type + kernel) and what each one costs.

One vocabulary serves every space. Costs come from the same stages that `natrl.networks` turns into torch modules,
so what is counted is what is built.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from reprlib import repr as short
from typing import NamedTuple

__all__ = ["PRIMITIVES", "VOCABULARY", "Convolution", "Cost", "Operation", "operation", "operation_cost", "stages"]

#: The types in the order of the type-level transition: conv → separable → dilated → pooling → skip → null.
TYPES = ("conv", "sep_conv", "dil_conv", "max_pool", "avg_pool", "skip_connect", "null", "conv_1xk_kx1")
KERNELS = (7, 5, 3, 2, 1, 0)  # 0: the type has no kernel


@dataclass(frozen=True, order=True)
class Operation:
    """What a slot computes: a type, and a kernel size in pixels (0 for skip_connect and null)."""

    type: str
    kernel: int = 0

    @property
    def name(self) -> str:
        """The operation's name, such as "sep_conv_3x3" (the spelling of DARTS and NAT)."""
        if self.type == "conv_1xk_kx1":
            return f"conv_1x{self.kernel}_{self.kernel}x1"
        return f"{self.type}_{self.kernel}x{self.kernel}" if self.kernel else self.type

    @property
    def is_pooling(self) -> bool:
        return self.type in ("max_pool", "avg_pool")


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


@cache
def stages(name: str, channels: int, stride: int = 1) -> tuple[tuple[Convolution, ...], ...]:
    """The ReLU-convolutions-BatchNorm stages of an operation, first to last; pooling, null and identity have none.

    As in the public code of DARTS and NAT: a separable convolution applies depthwise + pointwise twice, a dilated one
    once (dilation 2), and a skip with stride 2 is a factorized reduction, whose two 1×1 convolutions run side by side.
    """
    op = operation(name)
    c, k, s = channels, op.kernel, stride

    def depthwise_pointwise(stride: int, dilation: int) -> tuple[Convolution, Convolution]:
        return Convolution(c, c, (k, k), (stride, stride), dilation, groups=c), Convolution(c, c, (1, 1))

    match op.type:
        case "conv":
            return ((Convolution(c, c, (k, k), (s, s)),),)
        case "sep_conv":
            return (depthwise_pointwise(s, 1), depthwise_pointwise(1, 1))
        case "dil_conv":
            return (depthwise_pointwise(s, 2),)
        case "conv_1xk_kx1":
            return ((Convolution(c, c, (1, k), (1, s)), Convolution(c, c, (k, 1), (s, 1))),)
        case "skip_connect" if s > 1:
            return ((Convolution(c, c // 2, (1, 1), (s, s)), Convolution(c, c - c // 2, (1, 1), (s, s))),)
        case _:
            return ()


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


def network_operation_cost(name: str, channels: int, height: int, width: int, stride: int = 1) -> Cost:
    """What an operation adds to its network: convolutions and affine batch-norms; MAdds of convolutions only."""
    return _convolution_cost(name, channels, height, width, stride, norm=True)


def _convolution_cost(name: str, channels: int, height: int, width: int, stride: int, *, norm: bool) -> Cost:
    params = madds = 0
    for stage in stages(name, channels, stride):
        out_h, out_w = height, width
        parallel = name == "skip_connect"
        for conv in stage:
            out_h = -(-height // conv.stride[0]) if parallel else -(-out_h // conv.stride[0])
            out_w = -(-width // conv.stride[1]) if parallel else -(-out_w // conv.stride[1])
            params += conv.weights
            madds += conv.weights * out_h * out_w
        height, width = out_h, out_w
        params += 2 * channels if norm else 0
    return Cost(params, madds)
