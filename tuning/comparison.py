"""Training architectures from scratch on Ray, each with several seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from natrl.core.architecture import Architecture
from natrl.data import ImageData
from natrl.spaces.networks import Networks
from natrl.training.fitting import train_network, TrainingResult
from natrl.training.schedule import Schedule
from natrl.tuning.tasks import put, run_tasks

__all__ = ["train_all"]


def train_all(
    architectures: Sequence[Architecture],
    networks: Networks,
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

    `networks`: the space of the architectures, or the skeleton that their cells are stacked on. Equal architectures are
    trained once a seed. With `keep_weights` the results of the first seed hold the weights. The data set travels once,
    through the object store. ValueError or RuntimeError with the training's own message if one fails.
    """
    shared = put(data)
    jobs = dict.fromkeys((a.key, seed) for seed in seeds for a in architectures)
    known = {a.key: a for a in architectures}
    calls = [
        {
            "networks": networks,
            "architecture": known[key],
            "data": shared,
            "schedule": schedule,
            "seed": seed,
            "read_test": read_test,
            "keep_weights": keep_weights and seed == seeds[0],
        }
        for key, seed in jobs
    ]
    done = None if on_result is None else lambda index, result: on_result()
    trained = run_tasks(train_network, calls, what="a training", num_cpus=num_cpus, num_gpus=num_gpus, on_result=done)
    results = dict(zip(jobs, trained, strict=True))
    return [[results[a.key, seed] for seed in seeds] for a in architectures]
