"""Initial states: which architectures episodes start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from natrl.architecture import Architecture
from natrl.spaces import Batch, Space

__all__ = ["Initial", "Sampler", "make_sampler"]

#: "uniform", "pool:N", or the architectures themselves.
Initial = str | Sequence[Architecture]
Sampler = Callable[[np.random.Generator, int], Batch]

POOL_SEED = 201


def make_sampler(space: Space, initial: Initial) -> Sampler:
    """A function that draws so many initial architectures.

    "uniform": a fresh sample of the space each time; "pool:N": one of N fixed samples, the same N in every process;
    a sequence: one of its architectures. ValueError on anything else, and on an architecture not of the space.
    """
    if isinstance(initial, str):
        if initial == "uniform":
            return space.samples
        kind, _, number = initial.partition(":")
        if kind != "pool" or not number.isdigit() or int(number) < 1:
            raise ValueError(f"unknown initial {initial!r}; known: 'uniform', 'pool:N' with N ≥ 1, or architectures")
        rng = np.random.default_rng(POOL_SEED)
        pool = space.samples(rng, int(number))
    else:
        if not len(initial):
            raise ValueError("initial: at least one architecture is needed")
        if isinstance(initial, Batch) and initial.space is space:  # checked already; many environments may share it
            pool = initial
        else:
            pool = Batch.of(space, [space.check(architecture) for architecture in initial])
    return lambda rng, n: pool.take(rng.integers(len(pool), size=n))
