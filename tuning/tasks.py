"""Trainings as Ray tasks, each done to the end whatever becomes of machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from natrl.evaluation.base import EvaluationError
from natrl.evaluation.pool.losses import machine_left, MOST_LOSSES
from natrl.evaluation.user_code import share_user_code

__all__ = ["put", "run_tasks"]

MAX_RETRIES = 3  # of a task whose worker died; tasks here repeat exactly, so a retry changes nothing


def put(value: Any) -> ray.ObjectRef:
    """The value in Ray's object store, for any number of tasks; classes of the user's travel with it."""
    share_user_code()
    return ray.put(value)


def run_tasks(
    function: Callable[..., Any],
    calls: Sequence[dict[str, Any]],
    *,
    what: str,
    num_cpus: float = 1,
    num_gpus: float = 0,
    on_result: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """What `function` returns for each of the keyword arguments, in their order; Ray must run.

    `on_result(index, result)` is called as soon as each is done. A machine that leaves costs time only. The function's
    own exception if it raises one; EvaluationError, which calls a task `what`, if its worker dies again and again.
    """
    share_user_code()
    task = ray.remote(function).options(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=MAX_RETRIES)
    running = {task.remote(**call): index for index, call in enumerate(calls)}
    losses = [0] * len(calls)
    results: list[Any] = [None] * len(calls)
    while running:
        (reference,), _ = ray.wait(list(running), num_returns=1)
        index = running.pop(reference)
        try:
            results[index] = ray.get(reference)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            losses[index] += 1
            if not machine_left(error) or losses[index] > MOST_LOSSES:
                raise EvaluationError(f"{what} was lost again and again: {type(error).__name__}") from None
            running[task.remote(**calls[index])] = index
            continue
        if on_result is not None:
            on_result(index, results[index])
    return results
