"""Initial states: which architectures episodes start from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from natrl.core.architecture import Architecture
from natrl.core.isomorphism import held_out
from natrl.envs.door import architectures, whole_number
from natrl.spaces import Batch, Space

__all__ = ["Initial", "Sampler", "make_sampler", "seeded"]

#: "uniform", "training", "held-out", "pool:N", "pool:N:SEED", "original", or the architectures themselves.
Initial = str | Sequence[Architecture]
Sampler = Callable[[np.random.Generator, int], Batch]

POOL_SEED = 201
PARTS = {"training": False, "held-out": True}  # whether it is held out
POOL = re.compile(r"pool:([0-9]+)(?::([0-9]+))?")


def make_sampler(space: Space, initial: Initial) -> Sampler:
    """A function that draws so many initial architectures.

    "uniform": a fresh sample of the space each time; "held-out": one of the fifth that
    `natrl.core.isomorphism.held_out` names, and "training" one of the others; "pool:N" or "pool:N:SEED": one of N fixed
    samples, which space, N and SEED (201 where none is given) determine: they are the same ones in every process, and
    whatever seeds an environment is reset with; "original": the network that a space is of; a sequence: one of its
    architectures.
    ValueError on anything else, and on an architecture not of the space.
    """
    if isinstance(initial, str):
        if initial == "uniform":
            return space.samples
        if initial in PARTS:
            return _part_sampler(space, PARTS[initial])
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
    return _drawn_from(pool)


def _part_sampler(space: Space, held: bool) -> Sampler:
    """Of a listed space one of its live architectures; of others samples, of which those of the other part are left."""
    if space.is_listed:
        return _drawn_from(_listed(space)[held])

    def sample(rng: np.random.Generator, n: int) -> Batch:
        found: list[Architecture] = []
        while len(found) < n:
            found += [a for a in space.samples(rng, n) if held_out(a) == held]
        return Batch.of(space, found[:n])

    return sample


@lru_cache(maxsize=4)
def _listed(space: Space) -> tuple[Batch, Batch]:
    """The live architectures to learn from, and those held out."""
    parts: tuple[list[Architecture], list[Architecture]] = [], []
    for architecture in space.architectures():
        if architecture.is_live:
            parts[held_out(architecture)].append(architecture)
    return Batch.of(space, parts[False]), Batch.of(space, parts[True])


def _drawn_from(pool: Batch) -> Sampler:
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
            f"unknown initial {initial!r}; known: 'uniform', 'training', 'held-out', 'pool:N' or 'pool:N:SEED' with "
            "N ≥ 1, 'original', or architectures"
        )
    return whole_number("the pool of initial architectures", int(found[1])), int(found[2] or POOL_SEED)
