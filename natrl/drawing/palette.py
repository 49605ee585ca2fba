"""How operations look: one colour and one line style a type, told apart by colour-blind readers and in grey print.

The colours are those of Okabe and Ito (2008, Color Universal Design); the greys are as far from them as can be, for
colour-blind readers too. On every arrow stands the name of its operation besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from natrl.core.operations import LOW_RANKS, operation, WIDTHS
from natrl.core.registration import registered_operations

__all__ = ["INK", "MUTED", "PAPER", "LineStyle", "Look", "VARIANT_LOOKS", "look_of", "looks_of"]

INK = "#1b1b1b"
MUTED = "#8a8a8a"
PAPER = "#ffffff"

#: "-", or (offset, (on, off, …)) in points, as matplotlib takes it.
LineStyle = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """A colour, a line and its width in points, and the words of a legend."""

    label: str
    color: str
    line: LineStyle = "-"
    width: float = 1.6


_LOW_RANK = Look("low rank", "#9018F0", (0, (5, 1.2)), 2.2)
_CHANNELS = Look("channels", "#88B860", (0, (2.5, 1, 0.8, 1)), 2.4)
_LOOKS: dict[str, Look] = {
    "block": Look("block of the network's own", "#783000", width=3.0),
    "conv": Look("convolution", "#0072B2", width=2.6),
    "conv_1xk_kx1": Look("1×k, k×1 convolution", "#56B4E9", (0, (8, 1.2, 1.2, 1.2, 1.2, 1.2)), 2.4),
    **dict.fromkeys(LOW_RANKS, _LOW_RANK),
    "sep_conv": Look("separable convolution", "#009E73", (0, (10, 1.5)), 1.9),
    "dil_conv": Look("dilated convolution", "#CC79A7", (0, (7, 2, 1.5, 2)), 2.0),
    "max_pool": Look("max pooling", "#D55E00", (0, (4, 2))),
    "avg_pool": Look("average pooling", "#E69F00", (0, (1.5, 1.5)), 2.0),
    **dict.fromkeys(WIDTHS, _CHANNELS),
    "skip_connect": Look("skip", INK, width=0.9),
    "null": Look("null (nothing)", "#666666", (0, (1, 3.5)), 1.0),
}

#: Of registered types that name none: as far from those above, and from each other, as greys in between allow.
_MORE_COLORS = ("#7A5195", "#8C6D1F", "#3B7D7D", "#A03B54")

#: The variants of a comparison: label, colour, and the marker as matplotlib names it.
VARIANT_LOOKS: dict[str, tuple[Look, str]] = {
    "original": (Look("original", "#4d4d4d"), "o"),
    "transformed": (Look("transformed", "#0072B2"), "D"),
    "random": (Look("random, same cost", "#E69F00"), "^"),
}


def look_of(name: str) -> Look:
    """The look of an operation. ValueError on an unknown name."""
    return _looks()[operation(name).type]


def _looks() -> dict[str, Look]:
    """By type, those of registered operations between natrl's convolutions and skips."""
    own: dict[str, Look] = {}
    for record in registered_operations():
        kind = record.operation.type
        if kind not in _LOOKS:
            usual = _MORE_COLORS[len(own) % len(_MORE_COLORS)]
            own.setdefault(kind, Look(kind.replace("_", " "), record.color or usual, (0, (12, 2, 3, 2)), 2.2))
    return own | _LOOKS


def looks_of(names: Iterable[str]) -> tuple[Look, ...]:
    """The looks of these operations, each once, from the dearest type to none. ValueError on an unknown name."""
    used = {operation(name).type for name in names}
    return tuple(dict.fromkeys(look for kind, look in _looks().items() if kind in used))
