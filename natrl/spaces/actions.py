"""What an action does to architectures. B batch, E slots, K primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from natrl.architecture import Architecture
from natrl.connectivity import repair, Wiring
from natrl.spaces.base import Space
from natrl.spaces.encoding import encode_topologies, wiring_of

__all__ = ["Applied", "apply_actions"]


class Applied(NamedTuple):
    """The architectures after an action, and what of the action was not carried out."""

    architectures: list[Architecture]
    invalid: np.ndarray  # int64 (B,): choices outside the mask; the slot kept its operation
    repaired: np.ndarray  # int64 (B,): valid choices undone because together they cut the last path


def apply_actions(
    space: Space,
    architectures: Sequence[Architecture],
    actions: np.ndarray,
    masks: np.ndarray,
    wiring: Wiring | None = None,
) -> Applied:
    """Replaces the operation of every slot at once, keeping architectures live that were live.

    `actions` int (B, E) in [0, K), `masks` bool (B, E, K). A choice outside the mask keeps the slot's operation, and so
    do as few later slots as needed where the action would leave a cell without a path from input to output. `wiring`
    spares working it out again where the architectures are encoded already.
    """
    index = {name: k for k, name in enumerate(space.primitives)}
    old = np.array([[index[op] for op in a.operations] for a in architectures])
    allowed = np.take_along_axis(masks, actions[..., None], axis=-1)[..., 0]
    new = np.where(allowed, actions, old)
    repaired = np.zeros(len(new), dtype=np.int64)
    if "null" in index:
        null = index["null"]
        keep = repair(old != null, new != null, wiring or wiring_of(*encode_topologies(architectures)))
        new = np.where(keep, old, new)
        repaired = keep.sum(-1)
    names = np.array(space.primitives, dtype=object)
    after = [Architecture(a.cells, tuple(row)) for a, row in zip(architectures, names[new].tolist(), strict=True)]
    return Applied(after, (~allowed).sum(-1), repaired)
