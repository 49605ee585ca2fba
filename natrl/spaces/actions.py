"""What an action does to architectures. B batch, E slots, K primitives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.connectivity import repair, Wiring
from natrl.spaces.base import Space
from natrl.spaces.batch import Batch

__all__ = ["Applied", "Transition", "apply_actions", "transition"]


class Transition(NamedTuple):
    """The architectures after an action, and what of the action was not carried out."""

    batch: Batch
    invalid: np.ndarray  # int64 (B,): choices outside the mask; the slot kept its operation
    repaired: np.ndarray  # int64 (B,): valid choices undone because together they cut the last path


class Applied(NamedTuple):
    """A `Transition` whose architectures are made."""

    architectures: list[Architecture]
    invalid: np.ndarray  # int64 (B,)
    repaired: np.ndarray  # int64 (B,)


def transition(batch: Batch, actions: np.ndarray, masks: np.ndarray, wiring: Wiring | None = None) -> Transition:
    """Replaces the operation of every slot at once, keeping architectures live that were live.

    `actions` int (B, E) in [0, K), `masks` bool (B, E, K). A choice outside the mask keeps the slot's operation, and so
    do as few later slots as needed where the action would leave a cell without a path from input to output. `wiring`
    spares working it out again where the architectures are encoded already. ValueError on another shape.
    """
    old = batch.choices
    if actions.shape != old.shape:
        raise ValueError(f"expected actions of shape {old.shape}, one a slot of each architecture, got {actions.shape}")
    allowed = masks[(*_grid(old.shape), actions)]
    new = np.where(allowed, actions, old)
    repaired = np.zeros(len(new), dtype=np.int64)
    if "null" in batch.space.primitives:
        null = batch.space.primitives.index("null")
        before, after = old != null, new != null
        keep = batch.topologies.kept(before, after) if wiring is None else repair(before, after, wiring)
        if keep is not None:
            new, repaired = np.where(keep, old, new), keep.sum(-1)
    return Transition(batch.with_choices(new), (~allowed).sum(-1), repaired)


@lru_cache(maxsize=64)
def _grid(shape: tuple[int, int]) -> tuple[np.ndarray, ...]:
    return np.ogrid[: shape[0], : shape[1]]


def apply_actions(
    space: Space,
    architectures: Sequence[Architecture],
    actions: np.ndarray,
    masks: np.ndarray,
    wiring: Wiring | None = None,
) -> Applied:
    """`transition` from and to `Architecture` objects."""
    after, invalid, repaired = transition(Batch.of(space, architectures), actions, masks, wiring)
    return Applied(list(after), invalid, repaired)
