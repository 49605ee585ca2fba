"""Training architectures from scratch on Ray, each with several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from natrl.architecture import Architecture
from natrl.data import ImageData
from natrl.networks.schedule import Schedule
from natrl.networks.training import train_network, TrainingResult
from natrl.spaces import Skeleton

__all__ = ["train_all"]

MAX_RETRIES = 3  # of a training whose worker died; a training repeats exactly, so a retry changes nothing


def train_all(
    architectures: Sequence[Architecture],
    skeleton: Skeleton,
    data: ImageData,
    schedule: Schedule,
    *,
    seeds: Sequence[int],
    read_test: bool = False,
    keep_weights: bool = False,
    num_cpus: float = 1,
    num_gpus: float = 0,
    on_result: Callable[[], None] | None = None,
) -> list[list[TrainingResult]]:
    """One Ray task for each architecture and seed; results [architecture][seed] in the order given. Ray must run.

    Equal architectures are trained once a seed. With `keep_weights` the results of the first seed hold the weights. The
    data set travels once, through the object store. ValueError or RuntimeError with the training's own message if one
    fails.
    """
    shared = ray.put(data)
    task = ray.remote(train_network).options(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=MAX_RETRIES)
    jobs: dict[tuple[str, int], Any] = {}
    for seed in seeds:
        for a in architectures:
            if (a.key, seed) not in jobs:
                keep = keep_weights and seed == seeds[0]
                jobs[a.key, seed] = task.remote(
                    a, skeleton, shared, schedule, seed=seed, read_test=read_test, keep_weights=keep
                )
    waiting = list(jobs.values())
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1)
        _get(done[0])
        if on_result is not None:
            on_result()
    return [[_get(jobs[a.key, seed]) for seed in seeds] for a in architectures]


def _get(reference: Any) -> TrainingResult:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise RuntimeError(f"a training was lost {MAX_RETRIES + 1} times: {type(error).__name__}") from None
