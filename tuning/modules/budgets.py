"""Budgets of a network: whether anything satisfies them, and which candidates do, latency by measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn, Tensor

from natrl.architecture import Architecture
from natrl.modules.limits import Limits
from natrl.modules.space import ModuleSpace
from natrl.networks.latency import measure_latency
from natrl.operations import VOCABULARY_INDEX
from natrl.policies.budget import Budget, cheapest, cheapest_within

__all__ = ["check_budget", "fast_enough"]


def check_budget(space: ModuleSpace, limits: Limits, example: Tensor) -> Budget:
    """What the policy is trained under. ValueError where nothing satisfies the limits.

    While the policy learns, MAdds stand for latency, by the same share.
    """
    original = space.architecture
    budget, mask = limits.budget(space, original), space.masks(original)
    if budget:
        cheapest_within(budget, original, mask, space, None)
    if limits.latency is None:
        return budget
    least = _fewest_madds(space, mask)
    networks = [space.model, space.build(least)]
    first, smallest = (latency.seconds for latency in measure_latency(networks, example))
    seconds = limits.seconds(first)
    assert seconds is not None
    if smallest > seconds:
        raise ValueError(
            f"no transformation takes at most {1e3 * seconds:.3g} ms for one image here; the one with the fewest MAdds "
            f"takes {1e3 * smallest:.3g} ms, the original {1e3 * first:.3g} ms"
        )
    madds = space.cost(original).madds * min(1.0, seconds / first)
    return Budget(max(space.cost(least).madds, min(madds, budget.madds or madds)), budget.params)


def _fewest_madds(space: ModuleSpace, mask: np.ndarray) -> Architecture:
    columns = [VOCABULARY_INDEX[name] for name in space.primitives]
    prices = space.cost_table(space.architecture).slots[:, columns, 1].astype(float)
    return space.prune(cheapest(space.architecture, np.where(mask, prices, np.inf), space.primitives))


def fast_enough(space: ModuleSpace, limits: Limits, networks: Sequence[nn.Module], example: Tensor) -> list[bool]:
    """Which networks keep to the limit on latency, where the original and they take turns."""
    first, *others = measure_latency([space.model, *networks], example)
    seconds = limits.seconds(first.seconds)
    assert seconds is not None
    return [latency.seconds <= seconds for latency in others]
