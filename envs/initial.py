"""Initial states: which architectures episodes start from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from natrl.core.architecture import Architecture
from natrl.envs.door import architectures, count
from natrl.spaces import Batch, Space

__all__ = ["Initial", "Sampler", "make_sampler", "seeded"]

#: "uniform", "pool:N", "pool:N:SEED", "original", or the architectures themselves.
Initial = str | Sequence[Architecture]
Sampler = Callable[[np.random.Generator, int], Batch]

POOL_SEED = 201
POOL = re.compile(r"pool:([0-9]+)(?::([0-9]+))?")


def make_sampler(space: Space, initial: Initial) -> Sampler:
    """A function that draws so many initial architectures.

    "uniform": a fresh sample of the space each time; "pool:N" or "pool:N:SEED": one of N fixed samples, which space, N
    and SEED (201 where none is given) determine: they are the same ones in every process, and whatever seeds an
    environment is reset with; "original": the network that a space is of; a sequence: one of its architectures.
    ValueError on anything else, and on an architecture not of the space.
    """
    if isinstance(initial, str):
        if initial == "uniform":
            return space.samples
        if initial == "original":
            if space.original is None:
                raise ValueError(f"space {space.name!r} is of no network, whose original episodes could start from")
            return make_sampler(space, [space.original])
        n, seed = _pool(initial)
        pool = space.samples(np.random.default_rng(seed), n)
    elif isinstance(initial, Batch) and initial.space is space and len(initial):
        pool = initial  # checked already; many environments may share it
    else:
        pool = Batch.of(space, [space.check(architecture) for architecture in architectures("initial", initial)])
    return lambda rng, n: pool.take(rng.integers(len(pool), size=n))


def seeded(initial: Initial, seed: int) -> Initial:
    """`initial` with this seed for its pool, unless it names one or is no pool: how a run's seed reaches its pool."""
    if isinstance(initial, str) and (found := POOL.fullmatch(initial)) and found[2] is None:
        return f"{initial}:{seed}"
    return initial


def _pool(initial: str) -> tuple[int, int]:
    """Size and seed of a pool. ValueError if the text names none."""
    found = POOL.fullmatch(initial)
    if not found or int(found[1]) < 1:
        raise ValueError(
            f"unknown initial {initial!r}; known: 'uniform', 'pool:N' or 'pool:N:SEED' with N ≥ 1, 'original', or "
            "architectures"
        )
    return count("the pool of initial architectures", int(found[1])), int(found[2] or POOL_SEED)
