"""How long whole networks take, the first one and others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn, Tensor

from natrl import formats
from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Positive
from natrl.timing.runtimes import Clock, device_of, prepared, Run
from natrl.timing.stopwatch import Patience, Times, times
from natrl.training.modes import in_mode

__all__ = ["Latency", "batch_of", "measure_latency", "networks_timed"]


@dataclass(frozen=True)
class Latency:
    """Seconds of a forward pass in evaluation mode, without gradients."""

    batch: int  # images of a pass
    seconds: float  # lower quartile over the turns
    spread: float  # width of its 95 % interval, in seconds
    runs: int  # turns
    device: str
    runtime: str = "eager"
    share: float = 1.0  # of the first network's time, in turns with it: the median, and its 95 % interval
    share_low: float = 1.0
    share_high: float = 1.0

    def __str__(self) -> str:
        where = self.device if self.runtime == "eager" else f"{self.device} by {self.runtime}"
        return f"{formats.milliseconds(self.seconds, self.spread)} ms for {self.batch} on {where}"


@checked
def measure_latency(
    networks: Sequence[nn.Module],
    example: Tensor | tuple[Tensor, ...],
    *,
    batch: Count = 1,
    device: torch.device | str | None = None,
    runtime: str = "eager",
    rounds: Count = Patience.fewest,
    min_seconds: Positive = Patience.turn,
) -> list[Latency]:
    """The latency of each network on `batch` inputs like the first of `example` (N, …), several where it takes several.

    The networks take turns of `min_seconds` each, `rounds` times and on, up to five times that, until the times are
    known to ± 5 %, so that a machine that gets slower meanwhile slows all of them. `runtime`: a name of
    `natrl.timing.runtimes.RUNTIMES`. The device is the GPU where there is one; networks elsewhere are copied to it.
    ValueError in one line on numbers below 1, an example that is not a batch, and what the runtime refuses.
    """
    inputs = batch_of(example, batch, runtime, device)
    patience = Patience(turn=min_seconds, fewest=rounds, most=5 * rounds)
    found = networks_timed(networks, inputs, runtime, patience)
    (low, high), shares = found.interval, found.ratios.T.tolist()
    where = str(inputs[0].device)
    return [
        Latency(batch, float(s), float(b - a), len(found.turns), where, runtime, share, share_low, share_high)
        for s, a, b, (share_low, share, share_high) in zip(found.seconds, low, high, shares, strict=True)
    ]


def batch_of(
    example: Tensor | tuple[Tensor, ...], batch: int, runtime: str, device: torch.device | str | None
) -> tuple[Tensor, ...]:
    """So many inputs like the first of the example, on the runtime's device. ValueError if that is not a batch."""
    inputs = example if isinstance(example, tuple) else (example,)
    if not all(t.dim() and len(t) for t in inputs):
        shapes = ", ".join(str(tuple(t.shape)) for t in inputs)
        raise ValueError(f"an example must be a batch of inputs (N, …), got shape {shapes}")
    place = device_of(runtime, None if device is None else str(device))
    return tuple(t[:1].to(place).expand(batch, *t.shape[1:]).contiguous() for t in inputs)


def networks_timed(
    networks: Sequence[nn.Module], inputs: tuple[Tensor, ...], runtime: str, patience: Patience
) -> Times:
    """The times of networks, each on the same inputs. ValueError in one line where the runtime refuses one."""
    with ExitStack() as stack:
        runs: list[tuple[Run, Clock | None]] = []
        for network in networks:
            stack.enter_context(in_mode(network, training=False))
            runs.append(prepared(runtime, _on(network, inputs[0].device), inputs))
        return times(runs, str(inputs[0].device), patience)


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    """The network there, a copy where it lives elsewhere."""
    elsewhere = any(p.device.type != device.type for p in (*network.parameters(), *network.buffers()))
    return deepcopy(network).to(device) if elsewhere else network
