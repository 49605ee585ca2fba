"""Transforming two-cell DARTS architectures (16 slots, 13 primitives): architectures a second.

Timed is `Policy.transform_batch` as users call it, from a list of `Architecture` to a list of `Architecture`: encoding,
masks, the network, decoding (the most probable transformation, or a sample), repair, and making the results. Not timed:
sampling the initial architectures, and building the policy. The architectures are shared out to `--processes` processes
of one thread each, by default one a core. The rate is that of the best of `--repeats` passes. On a machine that does
other work too it says less; `cpu_us` is the processor time of one architecture in microseconds, which suffers less.
The authors' code transforms 1,591 single cells a second on a 2-core machine, about 800 architectures.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from _options import number, Parser, run
from _rows import print_row

from natrl import Architecture, space
from natrl.checks.fields import Count
from natrl.policies import Policy, PolicyConfig, PolicyNetwork

AUTHORS = 800  # architectures a second

_policy: Policy
_architectures: list[Architecture]


def prepare(head: str, count: int, seed: int) -> None:
    """Builds this process's policy and architectures, and warms up."""
    global _policy, _architectures
    torch.set_num_threads(1)
    torch.manual_seed(0)
    darts, rng = space("darts"), np.random.default_rng(seed)
    _policy = Policy(PolicyNetwork(PolicyConfig(darts.primitives, head)), darts)  # type: ignore[arg-type]
    _architectures = [darts.sample(rng) for _ in range(count)]
    transform(True)


def transform(deterministic: bool) -> float:
    """Transforms all architectures of this process; seconds of processor time."""
    start = time.process_time()
    results = _policy.transform_batch(_architectures, deterministic=deterministic)
    assert len(results) == len(_architectures)
    return time.process_time() - start


def measure(pools: list[ProcessPoolExecutor], deterministic: bool, repeats: int) -> tuple[float, float]:
    """Of the best passes: seconds from the first process's start to the last one's end, and processor seconds."""
    seconds, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        futures = [pool.submit(transform, deterministic) for pool in pools]
        processor.append(sum(future.result() for future in futures))
        seconds.append(time.perf_counter() - start)
    return min(seconds), min(processor)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("--architectures", type=number(Count), default=16384)
    parser.add_argument("--repeats", type=number(Count), default=5)
    parser.add_argument("--processes", type=number(Count), default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    each = arguments.architectures // arguments.processes
    count = each * arguments.processes
    pools = [ProcessPoolExecutor(1, get_context("spawn")) for _ in range(arguments.processes)]
    for head in ("joint", "autoregressive"):
        for future in [pool.submit(prepare, head, each, seed) for seed, pool in enumerate(pools)]:
            future.result()
        for deterministic in (True, False):
            seconds, processor = measure(pools, deterministic, arguments.repeats)
            print_row(
                "policy",
                head=head,
                decoding="most probable" if deterministic else "sampled",
                architectures=count,
                processes=arguments.processes,
                seconds=seconds,
                architectures_per_second=count / seconds,
                ratio_to_authors=count / seconds / AUTHORS,
                cpu_us=1e6 * processor / count,
            )
    for pool in pools:
        pool.shutdown()


if __name__ == "__main__":
    run(main)
