"""How well tables of measured layers predict what whole networks take, in each runtime.

An untrained ResNet-18 (--width of its channels, images of 28×28 pixels): its layers and all that can take their places
are timed one by one, then 16 random transformations whole, for the slope; then --networks others, as whole networks,
beside the original. For each runtime and batch: Spearman's correlation of predicted and measured seconds, the median
of |predicted / measured − 1|, and the same between two halves of the turns, which no prediction can be better than.

    OMP_NUM_THREADS=1 python benchmarks/latency.py --runtimes eager onnxruntime
"""

from __future__ import annotations

import time

import numpy as np
import torch
from _networks import NETWORKS
from _options import number, Parser, run
from _rows import print_row
from scipy.stats import spearmanr

import natrl
from natrl.checks.fields import Count, Positive, Size
from natrl.modules.space import ModuleSpace
from natrl.timing.latency import batch_of, networks_timed
from natrl.timing.stopwatch import Patience, Times
from natrl.timing.table import measure_table

PATIENCE = Patience(fewest=16, seconds=60.0)


def compare(space: ModuleSpace, runtime: str, batch: int, networks: int) -> None:
    begun = time.perf_counter()
    table = measure_table(space, space.masks(space.architecture), batch=batch, runtime=runtime)
    took = time.perf_counter() - begun
    rng = np.random.default_rng(1)
    drawn = [space.sample(rng) for _ in range(networks)]
    wholes = [space.model, *(space.build(a, verify=False) for a in drawn)]
    found = networks_timed(wholes, batch_of(space.example, batch, runtime, None), runtime, PATIENCE)
    predicted, measured = table.of(drawn), found.seconds[1:]
    halves = [Times(found.turns[start::2]).seconds[1:] for start in (0, 1)]
    print_row(
        "latency",
        runtime=runtime,
        batch=batch,
        networks=networks,
        milliseconds=1e3 * table.original,
        correlation=float(spearmanr(predicted, measured).statistic),
        error=float(np.median(np.abs(predicted / measured - 1))),
        ceiling=float(spearmanr(*halves).statistic),
        repeat_error=float(np.median(np.abs(halves[0] / halves[1] - 1))),
        slope=table.slope,
        fastest=float((measured / found.seconds[0]).min()),
        slowest=float((measured / found.seconds[0]).max()),
        table_seconds=took,
    )


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--network", choices=NETWORKS, default="resnet18")
    parser.add_argument("--width", type=number(Positive), default=0.25, help="share of the published channels")
    parser.add_argument("--image-size", type=number(Size), default=28)
    parser.add_argument("--networks", type=number(Count), default=50, help="random transformations that are predicted")
    parser.add_argument("--runtimes", nargs="+", default=["eager", "compile", "onnxruntime"])
    parser.add_argument("--batches", nargs="+", type=number(Count), default=[1, 32])
    parser.add_argument("--moves", default="all", help="as of natrl.from_module")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = NETWORKS[options.network](1, 10, options.width).eval()
    images = torch.randn(2, 1, options.image_size, options.image_size)
    space = natrl.from_module(model, images, moves=options.moves)
    for runtime in options.runtimes:
        for batch in options.batches:
            compare(space, runtime, batch, options.networks)


if __name__ == "__main__":
    run(main)
