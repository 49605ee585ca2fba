"""Budgets of a network: whether anything satisfies them, and which candidates do, latency by measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn, Tensor

from natrl.core.architecture import Architecture
from natrl.modules.space import ModuleSpace
from natrl.policies.limits import LATENCIES, Limits
from natrl.spaces.budget import Budget, cheapest_within, fewest
from natrl.training.latency import measure_latency

__all__ = ["check_budget", "fast_enough", "fewest_madds"]


def check_budget(space: ModuleSpace, limits: Limits, example: tuple[Tensor, ...], mask: np.ndarray) -> Budget:
    """What the policy is trained under; `mask` bool (E, K): what it may do. ValueError where nothing is within limits.

    While the policy learns, MAdds stand for latency, by the same share.
    """
    original = space.architecture
    budget = limits.budget(space, original)
    if budget:
        cheapest_within(budget, original, mask, space)
    if not limits.timed:
        return budget
    least, share = fewest_madds(space, mask), 1.0
    networks = [space.model, space.build(least)]
    for kind in limits.timed:
        first, smallest = (latency.seconds for latency in measure_latency(networks, example, batch=LATENCIES[kind]))
        seconds = limits.seconds(kind, first)
        if smallest > seconds:
            images = "one image" if LATENCIES[kind] == 1 else f"{LATENCIES[kind]} images"
            raise ValueError(
                f"no transformation takes at most {1e3 * seconds:.3g} ms for {images} here; the one with the fewest "
                f"MAdds takes {1e3 * smallest:.3g} ms, the original {1e3 * first:.3g} ms"
            )
        share = min(share, seconds / first)
    madds = space.cost(original).madds * share
    return Budget(max(space.cost(least).madds, min(madds, budget.madds or madds)), budget.params)


def fewest_madds(space: ModuleSpace, mask: np.ndarray) -> Architecture:
    """The transformation with the fewest MAdds; `mask` bool (E, K)."""
    return fewest(space, space.architecture, mask, madds=1)


def fast_enough(
    space: ModuleSpace, limits: Limits, networks: Sequence[nn.Module], example: tuple[Tensor, ...]
) -> list[bool]:
    """Which networks keep to the limits on latency, where the original and they take turns."""
    fine = [True] * len(networks)
    for kind in limits.timed:
        first, *others = measure_latency([space.model, *networks], example, batch=LATENCIES[kind])
        seconds = limits.seconds(kind, first.seconds)
        fine = [before and latency.seconds <= seconds for before, latency in zip(fine, others, strict=True)]
    return fine
