"""Machines that join the Ray of the tests and leave again, as the autoscaler's and crashed ones do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

__all__ = ["join", "joining", "wait_for"]


def joining() -> dict[str, str]:
    """The environment of a process that joins the Ray which runs in this one."""
    return {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}


def join(num_cpus: float) -> Callable[[bool], None]:
    """Adds a machine, a second's work; what it returns takes it away: in an orderly way (True), or like a crash."""
    cluster = Cluster()
    cluster.head_node = ray._private.worker._global_node
    node = cluster.add_node(num_cpus=num_cpus)
    return lambda orderly: cluster.remove_node(node, allow_graceful=orderly)


def wait_for(folder: Path, workers: int) -> None:
    """Until so many workers have said that they are at work, by a file PID.here each."""
    while len(list(folder.glob("*.here"))) < workers:
        time.sleep(0.02)
