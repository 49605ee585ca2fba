"""The last choice: a few candidates are fine-tuned on Ray, and validation data decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy

import ray
from ray.exceptions import RayError, RayTaskError
from torch import nn

from natrl.data import ImageData
from natrl.modules.fine_tuning import fine_tune, Tuned
from natrl.tuning.modules.settings import OptimizeSettings

__all__ = ["fine_tune_all"]

MAX_RETRIES = 3  # of a training whose worker died; a training repeats exactly, so a retry changes nothing


def fine_tune_all(
    networks: Sequence[nn.Module],
    data: ImageData,
    settings: OptimizeSettings,
    *,
    teacher: nn.Module | None = None,
    on_result: Callable[[int, Tuned], None] | None = None,
) -> list[Tuned]:
    """Fine-tunes every network in a Ray task of its own, in the order given; Ray must run.

    The networks are left as they are: `Tuned.load_into` puts the weights into them. The test split stays unread, and is
    not sent. `on_result(index, tuned)` is called as soon as each is done. ValueError or RuntimeError with the
    training's own message if one fails.
    """
    shared = ray.put(data)
    taught = ray.put(None if teacher is None else deepcopy(teacher).cpu())
    task = ray.remote(_fine_tune).options(
        num_cpus=settings.num_cpus, num_gpus=settings.num_gpus, max_retries=MAX_RETRIES
    )
    jobs = [task.remote(deepcopy(n).cpu(), shared, taught, settings) for n in networks]
    waiting = list(jobs)
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1)
        tuned = _get(done[0])
        if on_result is not None:
            on_result(jobs.index(done[0]), tuned)
    return [_get(job) for job in jobs]


def _fine_tune(network: nn.Module, data: ImageData, teacher: nn.Module | None, settings: OptimizeSettings) -> Tuned:
    return fine_tune(network, data, settings.fine_tuning, seed=settings.seed, teacher=teacher, bf16=settings.bf16)


def _get(reference: ray.ObjectRef) -> Tuned:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise RuntimeError(f"a fine-tuning was lost {MAX_RETRIES + 1} times: {type(error).__name__}") from None
