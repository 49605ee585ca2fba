"""How long networks take on a device: measured, with `torch.utils.benchmark` (warm-up, synchronised, repeated)."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn, Tensor

from natrl.checks.arguments import checked
from natrl.checks.fields import Count, Positive
from natrl.training.device import default_device
from natrl.training.modes import in_mode

__all__ = ["Latency", "measure_latency"]


@dataclass(frozen=True)
class Latency:
    """Seconds of a forward pass in evaluation mode, without gradients."""

    batch: int  # images of a pass
    seconds: float  # median over the runs
    spread: float  # interquartile range of the runs, in seconds
    runs: int
    device: str

    def __str__(self) -> str:
        return f"{1e3 * self.seconds:.3g} ± {1e3 * self.spread / 2:.2g} ms for {self.batch} on {self.device}"


@checked
def measure_latency(
    networks: Sequence[nn.Module],
    example: Tensor | tuple[Tensor, ...],
    *,
    batch: Count = 1,
    device: torch.device | str | None = None,
    rounds: Count = 5,
    min_seconds: Positive = 0.05,
) -> list[Latency]:
    """The latency of each network on `batch` inputs like the first of `example` (N, …), several where it takes several.

    The networks take turns, `rounds` times `min_seconds` each, so that a machine that gets slower meanwhile slows all
    of them. The device is the GPU where there is one; networks elsewhere are copied to it. ValueError on numbers below
    1 or an example that is not a batch.
    """
    inputs = example if isinstance(example, tuple) else (example,)
    if not all(t.dim() and len(t) for t in inputs):
        shapes = ", ".join(str(tuple(t.shape)) for t in inputs)
        raise ValueError(f"an example must be a batch of inputs (N, …), got shape {shapes}")
    timing = _timing()
    device = default_device(device)
    images = tuple(t[:1].to(device).expand(batch, *t.shape[1:]).contiguous() for t in inputs)
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(in_mode(network, training=False))
        timers = [_timer(timing, _on(network, device), images) for network in networks]
        turns = [[timer.blocked_autorange(min_run_time=min_seconds) for timer in timers] for _ in range(rounds)]
    measured = [timing.Measurement.merge(turn[i] for turn in turns)[0] for i in range(len(timers))]
    return [Latency(batch, m.median, m.iqr, len(m.times), str(device)) for m in measured]


def _timing() -> Any:
    """torch.utils.benchmark; its import looks for CUDA's compiler and says so where there is one and no GPU."""
    log = logging.getLogger("torch.utils.cpp_extension")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        return importlib.import_module("torch.utils.benchmark")
    finally:
        log.setLevel(level)


def _timer(timing: Any, network: nn.Module, images: tuple[Tensor, ...]) -> Any:
    run = torch.inference_mode()(network)
    return timing.Timer("run(*images)", globals={"run": run, "images": images}, num_threads=torch.get_num_threads())


def _on(network: nn.Module, device: torch.device) -> nn.Module:
    """The network there, a copy where it lives elsewhere."""
    elsewhere = any(p.device.type != device.type for p in (*network.parameters(), *network.buffers()))
    return deepcopy(network).to(device) if elsewhere else network
