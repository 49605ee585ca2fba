"""Budgets of a network: whether anything satisfies them, and which candidates do, latency by measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn, Tensor

from natrl import formats
from natrl.core.architecture import Architecture
from natrl.modules.space import ModuleSpace
from natrl.policies.limits import LATENCIES, Limits
from natrl.spaces.budget import Budget, cheapest_within, fewest
from natrl.timing.files import conditions, read_tables
from natrl.timing.latency import batch_of, Latency, measure_latency, networks_timed
from natrl.timing.stopwatch import Patience
from natrl.tuning.optimize.settings import OptimizeSettings

__all__ = ["check_budget", "check_runtime", "fast_enough", "fewest_madds", "latencies", "shares_of_time"]

FASTER = 4  # than the network with the fewest MAdds none is so many times, in any runtime


def check_runtime(space: ModuleSpace, settings: OptimizeSettings) -> None:
    """ValueError in one line where runtime or device is not here, or cannot take the network; or times are others'."""
    inputs = batch_of(space.example, 1, settings.runtime, settings.device)
    if settings.times is not None and Path(settings.times).exists():
        read_tables(Path(settings.times), space, conditions(space, settings.runtime, str(inputs[0].device)))
    if settings.runtime != "eager":
        networks_timed([space.model], inputs, settings.runtime, Patience(turn=0, fewest=1, most=1))


def check_budget(
    space: ModuleSpace, limits: Limits, example: tuple[Tensor, ...], mask: np.ndarray, settings: OptimizeSettings
) -> Budget:
    """What the policy is trained under; `mask` bool (E, K): what it may do. ValueError where nothing is within limits.

    While a policy learns, MAdds stand for latency, by the same share; without one a table of times is kept to.
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
        first, smallest = (latency.seconds for latency in latencies(networks, example, kind, settings))
        seconds = limits.seconds(kind, first)
        if smallest > seconds * (FASTER if settings.by_effects else 1):
            images = "one image" if LATENCIES[kind] == 1 else f"{LATENCIES[kind]} images"
            wanted, fastest, now = map(formats.milliseconds, (seconds, smallest, first))
            raise ValueError(
                f"no transformation takes at most {wanted} ms for {images} here; the one with the fewest MAdds takes "
                f"{fastest} ms, the original {now} ms"
            )
        share = min(share, seconds / first)
    madds = space.cost(original).madds * share
    return Budget(max(space.cost(least).madds, min(madds, budget.madds or madds)), budget.params)


def latencies(
    networks: Sequence[nn.Module], example: tuple[Tensor, ...], kind: str, settings: OptimizeSettings
) -> list[Latency]:
    """One of LATENCIES, of each network, measured where the settings say."""
    batch, runtime, device = LATENCIES[kind], settings.runtime, settings.device
    return measure_latency(networks, example, batch=batch, runtime=runtime, device=device)


def fewest_madds(space: ModuleSpace, mask: np.ndarray) -> Architecture:
    """The transformation with the fewest MAdds; `mask` bool (E, K)."""
    return fewest(space, space.architecture, mask, madds=1)


def fast_enough(
    space: ModuleSpace,
    limits: Limits,
    networks: Sequence[nn.Module],
    example: tuple[Tensor, ...],
    settings: OptimizeSettings,
) -> list[bool]:
    """Which networks keep to the limits on latency, where the original and they take turns."""
    fine = [True] * len(networks)
    for kind in limits.timed:
        first, *others = latencies([space.model, *networks], example, kind, settings)
        seconds = limits.seconds(kind, first.seconds)
        fine = [before and latency.seconds <= seconds for before, latency in zip(fine, others, strict=True)]
    return fine


def shares_of_time(
    space: ModuleSpace, limits: Limits, network: nn.Module, example: tuple[Tensor, ...], settings: OptimizeSettings
) -> str:
    """What a network takes of the original's time, as far as it is limited."""
    shares = []
    for kind in limits.timed:
        _, found = latencies([space.model, network], example, kind, settings)
        shares.append(f"{found.share:.0%} of the original's {kind}")
    return " and ".join(shares)
