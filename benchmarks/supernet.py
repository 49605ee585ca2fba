"""Evaluating architectures in the supernet (C = 20, 8 cells, batch 64, 32×32) against plain execution.

Plain: every operation and preprocessing of the architecture as torch's own module, one after the other, images in
contiguous layout, gradients recorded. Both paths hold the same weights; their logits must agree to 1e-4, and in double
precision to 1e-9 (through eight cells of random weights rounding grows a hundredfold, and torch's batch statistics
round more where channels are last). The supernet is timed as its evaluator runs it: the stem is computed once for all
architectures, and that time is shared out. Times are medians in milliseconds; the two paths take turns, so that a
loaded machine slows both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from _options import number, Parser, run
from _rows import print_row
from torch import nn

from natrl import Architecture, Skeleton, zoo
from natrl import space as find_space
from natrl.checks.fields import Count, Steps
from natrl.networks import CellSupernet, extract_network, Network
from natrl.networks.dilated import DilatedDepthwise

NAMED = ("VGG", "ResBlock", "Mobilenetv2", "DARTS")
BURN_IN = 2


def plain_network(supernet: CellSupernet, architecture: Architecture) -> Network:
    """The architecture's network with the supernet's weights and none of our own convolutions."""
    network = extract_network(supernet, architecture).train()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, DilatedDepthwise):
                setattr(module, name, own_convolution(child))
    return network


def own_convolution(dilated: DilatedDepthwise) -> nn.Conv2d:
    """torch's module in the place of ours."""
    c = dilated.in_channels
    module = nn.Conv2d(
        c, c, dilated.kernel_size, dilated.stride, dilated.padding, dilated.dilation, groups=c, bias=False
    )
    module.weight = dilated.weight
    return module


@torch.no_grad()
def check_exactly(supernet: CellSupernet, network: Network, images: torch.Tensor, architecture: Architecture) -> None:
    """Both paths in double precision."""
    network, supernet, images = deepcopy(network).double(), deepcopy(supernet).double(), images.double()
    torch.testing.assert_close(supernet(images, architecture), network(images), atol=1e-9, rtol=1e-9)


def medians(repeats: int, *runs: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, taking turns."""
    times: list[list[float]] = [[] for _ in runs]
    for i in range(BURN_IN + repeats):
        for call, seconds in zip(runs, times, strict=True):
            start = time.perf_counter()
            call()
            if i >= BURN_IN:
                seconds.append(time.perf_counter() - start)
    return [1000 * statistics.median(seconds) for seconds in times]


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--random", type=number(Steps), default=8, help="random architectures beside the named ones")
    parser.add_argument("--repeats", type=number(Count), default=5)
    parser.add_argument("--threads", type=number(Count), default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    skeleton, space = Skeleton(channels=20, cells=8), find_space("darts")
    supernet = CellSupernet(space, skeleton)
    images = torch.randn(64, 3, 32, 32)
    ours = images.contiguous(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    architectures = {name: zoo()[name] for name in NAMED}
    architectures |= {f"random {i + 1}": space.sample(rng) for i in range(arguments.random)}

    def embed(bf16: bool) -> tuple:  # type: ignore[type-arg]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return supernet.embed(ours)

    def classify(embedded: tuple, architecture: Architecture, bf16: bool) -> torch.Tensor:  # type: ignore[type-arg]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return supernet.classify(embedded, architecture)

    shared = [t / len(architectures) for t in medians(arguments.repeats, lambda: embed(False), lambda: embed(True))]
    rows = []
    for name, architecture in architectures.items():
        network, exact, rounded = plain_network(supernet, architecture), embed(False), embed(True)
        logits, expected = classify(exact, architecture, False), network(images).detach()
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
        check_exactly(supernet, network, images[:16], architecture)
        plain, fast, bf16 = medians(
            arguments.repeats,
            lambda: network(images),  # noqa: B023  # called within this turn of the loop
            lambda: classify(exact, architecture, False),  # noqa: B023
            lambda: classify(rounded, architecture, True),  # noqa: B023
        )
        rows.append((plain, fast + shared[0], bf16 + shared[1]))
        difference = (logits - expected).abs().max() / expected.abs().max()
        report(name, rows[-1], difference=difference.item(), threads=arguments.threads)
    report("mean", tuple(map(statistics.mean, zip(*rows, strict=True))), threads=arguments.threads)


def report(name: str, times: tuple[float, ...], **values: float) -> None:
    plain, fast, bf16 = times
    print_row(
        "supernet",
        architecture=name,
        plain_ms=plain,
        supernet_ms=fast,
        bf16_ms=bf16,
        ratio=plain / fast,
        bf16_ratio=plain / bf16,
        **values,
    )


if __name__ == "__main__":
    run(main)
