"""The two-level transition rule and the masks made from it (NAT++, arXiv 2102.10301, section 4).

E slots, K primitives. A mask is bool[E, K]: True where slot e may become primitive k.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import get_args, Literal

import numpy as np

from natrl.checks.arguments import checked
from natrl.core.operation_costs import network_operation_cost
from natrl.core.operations import Operation, operation, PRIMITIVES, RECORDS, TYPE_RANK

__all__ = ["CostMode", "Rule", "affordable", "is_transition", "successors", "transition_matrix"]

Rule = Literal["nat", "nat++"]
CostMode = Literal["strict", "rule", "live"]

#: Kernel level: 7×7 → 5×5 → 3×3 → 1×1. Even kernels are on no ladder.
KERNEL_LADDER = (7, 5, 3, 1)


def check_choice(label: str, value: str, choices: object) -> None:
    """ValueError in one line unless `value` is one of the Literal's choices."""
    valid = get_args(choices)
    if value not in valid:
        raise ValueError(f"unknown {label} {value!r}; known: {', '.join(valid)}")


def is_transition(old: Operation, new: Operation, rule: Rule = "nat++") -> bool:
    """True where the rule lets `old` become `new`.

    Everything may stay, become a skip or null; skip and null change into each other only. "nat" (the first paper)
    allows no more; "nat++" adds any forward jump in type and kernel, both at once if wanted, and what a registered
    operation says that it may become. (Of 1×1 that is only a lower rank, which the papers' spaces do not have.)
    """
    if new == old or new.type in ("skip_connect", "null"):
        return True
    if rule == "nat++" and (own := _own_place(old)) is not None:
        return new.name in own
    if rule == "nat" or _own_place(new) is not None or old.type not in TYPE_RANK or new.type not in TYPE_RANK:
        return False
    if old.kernel not in KERNEL_LADDER or new.kernel not in KERNEL_LADDER:
        return False
    return TYPE_RANK[new.type] >= TYPE_RANK[old.type] and new.kernel <= old.kernel


def _own_place(op: Operation) -> tuple[str, ...] | None:
    record = RECORDS.get(op.name)
    return None if record is None else record.may_become


@cache
def transition_matrix(primitives: tuple[str, ...] = PRIMITIVES, rule: Rule = "nat++") -> np.ndarray:
    """bool[K, K], read-only: row = from, column = to. ValueError on an unknown rule or operation."""
    check_choice("rule", rule, Rule)
    ops = [operation(name) for name in primitives]
    matrix = np.array([[is_transition(old, new, rule) for new in ops] for old in ops])
    matrix.setflags(write=False)
    return matrix


@checked
def successors(name: str, rule: Rule = "nat++", primitives: Sequence[str] = PRIMITIVES) -> tuple[str, ...]:
    """Names that the operation may become, itself included, in the order of `primitives`."""
    check_choice("rule", rule, Rule)
    old = operation(name)
    valid = tuple(p for p in primitives if is_transition(old, operation(p), rule))
    return valid if old.name in valid else (old.name, *valid)


@cache
def affordable(primitives: tuple[str, ...], channels: tuple[int, ...], stride: int) -> np.ndarray:
    """bool[K, K], read-only: True where the change raises neither parameters nor MAdds of the network's count.

    It must hold at every width in `channels`. MAdds of one slot are a sum over its output area and, where a stage comes
    before the stride, its input area, whose ratio lies between 1 (one pixel) and stride² (even sizes): what holds at
    both ends holds at every size of a square image.
    """
    fine = np.ones((len(primitives), len(primitives)), dtype=bool)
    for c, size in product(channels, (1, 16 * stride)):
        cost = np.array(
            [(n.params, n.madds) for n in (network_operation_cost(p, c, size, size, stride) for p in primitives)]
        )
        fine &= (cost[None, :, :] <= cost[:, None, :]).all(axis=-1)
    fine.setflags(write=False)
    return fine
