"""What a comparison of networks is measured by: one counter, one clock, one stopwatch in each runtime."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import ray  # noqa: F401  # it brings psutil along
import torch
from torch import nn, Tensor
from torch.utils.flop_counter import FlopCounterMode

from natrl.export.onnx_file import export_onnx
from natrl.training.modes import in_mode

import psutil  # type: ignore[import-untyped]  # isort: skip

__all__ = ["BATCHES", "RUNTIMES", "Clock", "madds", "parameters", "shares_of_time"]

BATCHES = (1, 32)  # images of a pass
RUNTIMES = ("eager", "onnxruntime")
TURNS, TURN = 15, 0.03  # of the two networks, and seconds of each


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


class _OnnxRuntime(nn.Module):
    """A network as ONNX Runtime runs it, on one thread."""

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        with tempfile.TemporaryDirectory() as folder:
            file = export_onnx(network, example, Path(folder) / "network.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Any:
        return self._session.run(None, {self._name: images.numpy()})


def shares_of_time(
    network: nn.Module,
    original: nn.Module,
    example: Tensor,
    runtimes: Sequence[str] = RUNTIMES,
    batches: Sequence[int] = BATCHES,
) -> dict[str, float]:
    """{runtime_batch: seconds as a share of the original's}, on one thread, the two taking turns.

    A runtime is left out that is not installed, or that cannot run one of the two.
    """
    pair = [deepcopy(n).cpu().eval().to(memory_format=torch.channels_last) for n in (network, original)]
    shares = {}
    for runtime in runtimes:
        try:
            timed = [n if runtime == "eager" else _OnnxRuntime(n, example) for n in pair]
        except (ImportError, ValueError):
            continue
        for batch in batches:
            now, before = _seconds(timed, example[:1].expand(batch, *example.shape[1:]).contiguous())
            shares[f"{runtime}_{batch}"] = now / before
    return shares


@torch.inference_mode()
def _seconds(networks: list[nn.Module], images: Tensor) -> list[float]:
    """Of a pass of each, the median over turns.

    CPU time of this thread, the only one that computes: where others use the machine, too, what a network waits is not
    its own.
    """
    passes = [max(1, round(TURN / min(_spent(n, images, 1) for _ in range(5)))) for n in networks]
    turns = [[_spent(n, images, p) / p for n, p in zip(networks, passes, strict=True)] for _ in range(TURNS)]
    return np.median(turns, axis=0).tolist()


def _spent(network: nn.Module, images: Tensor, passes: int) -> float:
    start = time.thread_time()
    for _ in range(passes):
        network(images)
    return time.thread_time() - start
