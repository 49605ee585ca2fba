"""What the benchmarks of the pool share: simulated machines, and evaluators that sleep.

Evaluations sleep, so that two cores can stand for many.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import ray
from ray.cluster_utils import Cluster

from natrl import Architecture
from natrl import space as find_space
from natrl.evaluation import Evaluator
from natrl.evaluation.pool.evaluator import PoolEvaluator

__all__ = ["Sleeper", "architectures", "fill", "machines", "one_machine", "score"]

QUIET = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
SPACE = find_space("nasbench201")


def architectures(n: int) -> list[Architecture]:
    """n different ones."""
    found: dict[Architecture, None] = {}
    rng = np.random.default_rng(0)
    while len(found) < n:
        found[SPACE.sample(rng)] = None
    return list(found)


class Sleeper(Evaluator):
    """Sleeps as long as it is told, and logs what it did: a line of key and process once an evaluation is paid for."""

    def __init__(self, seconds: dict[str, float], log: str | None = None) -> None:
        self.seconds, self.log = seconds, log

    def settings(self) -> dict[str, str]:
        return {"kind": "sleep", "data": "none", "metric": "accuracy"}

    def evaluate(self, asked: Sequence[Architecture]) -> np.ndarray:
        for a in asked:
            time.sleep(self.seconds[a.key])
            if self.log is not None:
                line = f"{json.dumps([a.key, os.getpid()])}\n".encode()
                file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                os.write(file, line)
                os.close(file)
        return np.array([score(a) for a in asked])


def score(a: Architecture) -> float:
    """Any number in [0, 1] that tells architectures apart."""
    return int.from_bytes(a.key.encode(), "big") % 9973 / 9973


@contextmanager
def machines(n: int, cpus: float) -> Iterator[tuple[Cluster, list]]:  # type: ignore[type-arg]
    """A head without CPUs for the driver, and n machines."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=cpus, wait=False) for _ in range(n)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    try:
        yield cluster, nodes
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def one_machine(**options: float) -> Iterator[None]:
    ray.init(address="local", **QUIET, **options)
    try:
        yield
    finally:
        ray.shutdown()


def fill(pool: PoolEvaluator, actors: int) -> None:
    """Waits until all actors stand: starting a process takes half a second of a core."""
    while len(pool._crew.standing) < actors:
        pool._crew.wait_for_one()
