"""Which moves there are: what a user lets natrl change in a network."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args, Literal, TypeAlias

from natrl.core.operations import operation

__all__ = ["ALL", "USUAL", "Move", "Moves", "move_of", "moves_from"]

#: Another type; a smaller kernel; a lower rank; nothing in the place of a layer or block; fewer channels.
Move = Literal["types", "kernels", "ranks", "branches", "widths"]
Moves: TypeAlias = frozenset[Move]

ALL: Moves = frozenset(get_args(Move))
USUAL: Moves = ALL - {"widths"}


def moves_from(given: str | Collection[str] | None) -> Moves:
    """From names, or their text, such as "types,widths"; "all"; None: the usual ones, which are all but widths.

    ValueError listing the names on another one.
    """
    if given is None:
        return USUAL
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)
    if names == ["all"]:
        return ALL
    if not names or (unknown := set(names) - ALL):
        told = ", ".join(map(repr, sorted(unknown))) if names else "none"
        raise ValueError(f"unknown moves {told}; known: {', '.join(get_args(Move))}, or all")
    return frozenset(name for name in ALL if name in names)


def move_of(held: str, new: str) -> Moves:
    """What it takes to put an operation in the place of another one, in a layer's slot: none if it is the same."""
    old, op = operation(held), operation(new)
    if op == old:
        return frozenset()
    if op.type == "null":
        return frozenset({"branches"})
    if op.is_low_rank:
        return frozenset({"ranks"})
    kernels: Moves = frozenset({"kernels"}) if op.kernel and op.kernel != old.kernel else frozenset()
    return kernels if op.type == old.type else kernels | {"types"}
