"""Which initial architectures a policy is trained on, and which it is measured on."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

from natrl.core.architecture import Architecture
from natrl.core.isomorphism import function_key
from natrl.spaces import Space

__all__ = ["FOLDS", "Split", "fold_of", "split"]

FOLDS = 5  # a fifth is held out


class Split(NamedTuple):
    """The architectures of a space, once each."""

    training: tuple[Architecture, ...]
    held_out: tuple[Architecture, ...]


def fold_of(architecture: Architecture) -> int:
    """The fold, in [0, FOLDS), the same for all that compute the same function; fold 0 is `isomorphism.held_out`'s.

    Dead architectures compute nothing, all alike, but what can be made of them differs: they are told apart by the
    function that they would compute with skips in place of nulls, the most of them that can be brought to life.
    """
    if not architecture.is_live:
        architecture = architecture.with_operations(
            ["skip_connect" if op == "null" else op for op in architecture.operations]
        )
    digest = hashlib.sha256(function_key(architecture).encode()).digest()
    return FOLDS * int.from_bytes(digest[:8], "big") >> 64


@lru_cache(maxsize=4)
def _folds(space: Space) -> tuple[tuple[Architecture, ...], ...]:
    folds: list[list[Architecture]] = [[] for _ in range(FOLDS)]
    for architecture in space.architectures():
        folds[fold_of(architecture)].append(architecture)
    return tuple(map(tuple, folds))


def split(space: Space, seed: int) -> Split:
    """Holds out fold seed mod FOLDS, so that over five seeds every architecture is held out once.

    The classes of equal functions are of very different sizes (up to 460 architectures), so folds are too, and what can
    be reached in one of them varies more than what methods make of it: one fixed fifth would say little. ValueError if
    the space is too large to list.
    """
    folds, held = _folds(space), seed % FOLDS
    return Split(tuple(a for fold in (*folds[:held], *folds[held + 1 :]) for a in fold), folds[held])
