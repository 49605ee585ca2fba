"""What a comparison of networks is measured by: one counter, one clock, one stopwatch in each runtime."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from itertools import product

import numpy as np
import ray  # noqa: F401  # it brings psutil along
import torch
from torch import nn, Tensor
from torch.utils.flop_counter import FlopCounterMode

from natrl.timing.latency import measure_latency
from natrl.training.modes import in_mode

import psutil  # type: ignore[import-untyped]  # isort: skip

__all__ = ["BATCHES", "RUNTIMES", "Clock", "madds", "parameters", "shares_of_time"]

BATCHES = (1, 32)  # images of a pass
RUNTIMES = ("eager", "onnxruntime")
ROUNDS, TURN = 15, 0.03  # turns of the two networks at least, and seconds of each


def madds(network: nn.Module, example: Tensor) -> int:
    """Of one image, in evaluation mode, as torch counts them on a real pass."""
    with in_mode(network, training=False), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(example[:1])
    return counter.get_total_flops() // 2


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


class Clock:
    """CPU seconds of this process and of all that it starts, those that end before this does among them.

    Looked up every half second, so that what a process had spent is known when it is gone.
    """

    EVERY = 0.5  # seconds

    def __enter__(self) -> Clock:
        self._spent: dict[psutil.Process, float] = {}
        self._turns: list[tuple[float, float]] = []
        self._look()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    @property
    def seconds(self) -> float:
        """Spent in all."""
        return self._turns[-1][1] - self._turns[0][1]

    def until(self, moment: float) -> float:
        """Spent until that moment (of time.time())."""
        return float(np.interp(moment, *np.array(self._turns).T)) - self._turns[0][1]

    def _watch(self) -> None:
        while not self._ended.wait(self.EVERY):
            self._look()

    def _look(self) -> None:
        process = psutil.Process()
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):  # it has just ended
                spent = each.cpu_times()
                self._spent[each] = spent.user + spent.system
        self._turns.append((time.time(), sum(self._spent.values())))


def shares_of_time(
    network: nn.Module,
    original: nn.Module,
    example: Tensor,
    runtimes: Sequence[str] = RUNTIMES,
    batches: Sequence[int] = BATCHES,
) -> dict[str, float]:
    """{runtime_batch: seconds as a share of the original's}, the median over turns of the two (natrl.timing).

    Both are on the CPU, with weights in channels-last order. A runtime is left out that is not installed, or that
    cannot run one of the two.
    """
    pair = [deepcopy(n).cpu().eval().to(memory_format=torch.channels_last) for n in (original, network)]
    shares = {}
    for runtime, batch in product(runtimes, batches):
        with suppress(ValueError):
            _, found = measure_latency(
                pair, example, batch=batch, runtime=runtime, device="cpu", rounds=ROUNDS, min_seconds=TURN
            )
            shares[f"{runtime}_{batch}"] = found.share
    return shares
