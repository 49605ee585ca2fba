"""Any evaluator on N Ray actors.

One evaluation in flight per actor, results stored by index: uneven durations keep no actor idle. Actors are neither
restarted nor retried by Ray, because an architecture that kills its actor would do so for ever; the pool replaces dead
actors itself and gives up on an architecture after `max_attempts`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import ray
from ray.exceptions import GetTimeoutError, RayError

from natrl.architecture import Architecture
from natrl.evaluation.base import Evaluator

__all__ = ["EvaluationError", "PoolEvaluator"]


DEAD = "the actor is gone"


class EvaluationError(RuntimeError):
    """An architecture could not be evaluated; the message names it and the reason."""


class _Running(NamedTuple):
    """An evaluation under way."""

    actor: Any
    part: int  # which chunk of the request
    started: float  # seconds, monotonic clock


class _Worker:
    """The actor: one evaluator, built where it runs."""

    def __init__(self, build: Callable[[], Evaluator]) -> None:
        self._build = build
        self._evaluator: Evaluator | None = None

    def ready(self) -> tuple[str, int]:
        """Builds the evaluator (not in the constructor: Ray would hide what it raises); its metric and version."""
        self._evaluator = self._evaluator or self._build()
        return self._evaluator.metric, self._evaluator.version

    def evaluate(self, architectures: Sequence[Architecture]) -> tuple[np.ndarray | None, str]:
        """Scores and "", or None and the reason: an exception must not look like a dead actor."""
        assert self._evaluator is not None
        try:
            return self._evaluator.evaluate(architectures), ""
        except Exception as error:
            return None, f"{type(error).__name__}: {error}"

    def call(self, method: str, *args: Any) -> Any:
        """Calls a method of the evaluator (weights and state of a supernet)."""
        return getattr(self._evaluator, method)(*args)


class PoolEvaluator(Evaluator):
    """Evaluates on `actors` Ray actors; the results come in the order asked for, each exactly once.

    `build` makes the evaluator inside an actor. `num_cpus` and `num_gpus` are for each actor and may be fractions.
    `chunk` architectures travel at a time (more than 1 pays for evaluations of a millisecond). An evaluation that takes
    longer than `timeout` seconds counts as a failed attempt, and its actor is replaced. EvaluationError if an
    architecture fails `max_attempts` times; what `build` raises is raised.
    """

    def __init__(
        self,
        build: Callable[[], Evaluator],
        *,
        actors: int,
        num_cpus: float = 1,
        num_gpus: float = 0,
        chunk: int = 1,
        timeout: float | None = None,
        max_attempts: int = 3,
    ) -> None:
        for name, value in (("actors", actors), ("chunk", chunk), ("max_attempts", max_attempts)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._build = build
        self._options = {"num_cpus": num_cpus, "num_gpus": num_gpus, "max_restarts": 0, "max_task_retries": 0}
        self._chunk, self._timeout, self._max_attempts = chunk, timeout, max_attempts
        self._state: Any = None  # reference to the newest state in the object store, for actors that start later
        self.restarts = 0
        self._actors: list[Any] = []
        self._starting: dict[Any, Any] = {}  # reference of ready() → actor
        for _ in range(actors):
            self._start_actor()
        self.metric, self.version = self._wait_for_first()

    def _start_actor(self) -> None:
        actor = ray.remote(_Worker).options(**self._options).remote(self._build)
        self._starting[actor.ready.remote()] = actor
        if self._state is not None:
            actor.call.remote("load_state_dict", self._state)

    def _wait_for_first(self) -> tuple[Any, int]:
        """Metric and version of the first evaluator that stands; the others join as they start."""
        (reference,), _ = ray.wait(list(self._starting), num_returns=1)
        return ray.get(self._join(reference).ready.remote())

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): the validation score of each architecture."""
        parts = [architectures[i : i + self._chunk] for i in range(0, len(architectures), self._chunk)]
        results: dict[int, np.ndarray] = {}
        waiting = deque(range(len(parts)))
        attempts = [0] * len(parts)
        running: dict[Any, _Running] = {}
        idle = list(self._actors)
        while len(results) < len(parts):
            while idle and waiting:
                job = _Running(idle.pop(), waiting.popleft(), time.monotonic())
                running[job.actor.evaluate.remote(parts[job.part])] = job
            for reference in self._wait(running):
                if reference in self._starting:
                    idle.append(self._join(reference))
                    continue
                job = running.pop(reference)
                scores, reason = self._collect(reference)
                if scores is not None:
                    results[job.part] = scores
                else:
                    attempts[job.part] += 1
                    if attempts[job.part] >= self._max_attempts:
                        self._abandon(running, job, reason)
                        raise EvaluationError(f"{parts[job.part][0].key} failed {attempts[job.part]} times: {reason}")
                    waiting.appendleft(job.part)
                if reason.startswith(DEAD):
                    self._replace(job.actor)
                else:
                    idle.append(job.actor)
        return np.concatenate([results[i] for i in range(len(parts))]) if parts else np.empty(0)

    def _wait(self, running: dict[Any, _Running]) -> list[Any]:
        """References of what has finished, started, or run out of time."""
        pending = [*running, *self._starting]
        if self._timeout is None:
            return ray.wait(pending, num_returns=1)[0]
        first = min((job.started for job in running.values()), default=time.monotonic())
        done = ray.wait(pending, num_returns=1, timeout=max(0.0, first + self._timeout - time.monotonic()))[0]
        late = time.monotonic() - self._timeout
        return done + [r for r, job in running.items() if job.started <= late and r not in done]

    def _join(self, reference: Any) -> Any:
        """The actor that has just started; raises what its evaluator's constructor raised."""
        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except RayError as error:
            raise _cause(error) from None
        self._actors.append(actor)
        return actor

    def _collect(self, reference: Any) -> tuple[np.ndarray | None, str]:
        """Scores and "", or None and the reason."""
        try:
            return ray.get(reference, timeout=0)
        except GetTimeoutError:
            return None, f"{DEAD}: no result within {self._timeout} s"
        except RayError as error:
            return None, f"{DEAD}: {type(error).__name__}"

    def _replace(self, actor: Any) -> None:
        self._actors.remove(actor)
        ray.kill(actor)
        self.restarts += 1
        self._start_actor()

    def _abandon(self, running: dict[Any, _Running], job: _Running, reason: str) -> None:
        """Leaves the pool ready for another call: waits for what still runs, replaces an actor that is gone."""
        if reason.startswith(DEAD):
            self._replace(job.actor)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=self._timeout)

    def train_weights(self, steps: int) -> dict[str, float]:
        """Trains the supernet's weights on one actor and hands them to the others through the object store."""
        trainer = self._actors[0]
        metrics = ray.get(trainer.call.remote("train_weights", steps))
        _, self.version = ray.get(trainer.ready.remote())
        self._state = trainer.call.remote("state_dict")
        weights = trainer.call.remote("get_weights")
        ray.get([a.call.remote("set_weights", weights, self.version) for a in self._actors if a is not trainer])
        for actor in self._starting.values():  # carried out once they stand
            actor.call.remote("load_state_dict", self._state)
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """The evaluator's state (weights, optimizer, random state), for checkpoints."""
        return ray.get(self._actors[0].call.remote("state_dict"))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict` on every actor, those that are still starting included."""
        self._state = ray.put(state)
        ready = [actor.call.remote("load_state_dict", self._state) for actor in self._actors]
        for actor in self._starting.values():
            actor.call.remote("load_state_dict", self._state)
        ray.get(ready)
        _, self.version = ray.get(self._actors[0].ready.remote())

    def close(self) -> None:
        """Ends the actors."""
        for actor in [*self._actors, *self._starting.values()]:
            ray.kill(actor)
        self._actors, self._starting = [], {}


def _cause(error: RayError) -> Exception:
    """What the evaluator's constructor raised, without Ray's wrapping."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else EvaluationError(f"an evaluator could not be started: {error}")
