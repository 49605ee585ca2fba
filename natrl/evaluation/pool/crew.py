"""The pool's actors: started, joined when they stand, replaced when they die."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from natrl.evaluation.base import EvaluationError, Evaluator
from natrl.evaluation.pool.losses import machine_left, MOST_LOSSES
from natrl.evaluation.pool.worker import Standing, Worker
from natrl.evaluation.user_code import share_user_code

__all__ = ["Crew", "Member"]

STARVED_S = 60.0  # without any actor before a warning

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Member:
    """An actor, and what the pool knows of it."""

    actor: Any
    failed_starts: int = 0  # of those before it in its place
    lost_starts: int = 0  # of those that went with their machine
    version: int | None = None  # of the weights that it holds, as far as is known


class Crew:
    """Up to `size` actors. Those that do not fit into the cluster yet start when a machine joins.

    Outside of a placement group they are spread over machines and GPUs; within one (a Tune trial's) each takes one of
    its bundles. What `build` raises is raised by `join`; an actor that dies `max_starts` times before it stands is an
    EvaluationError.
    """

    def __init__(
        self, build: Callable[[], Evaluator], size: int, *, num_cpus: float, num_gpus: float, max_starts: int
    ) -> None:
        share_user_code()
        self._build = ray.put(build)  # once for all: data in it is mapped by the actors of a machine, not copied
        self._options: dict[str, Any] = {
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if ray.util.get_current_placement_group() is None:
            self._options["scheduling_strategy"] = "SPREAD"
        self._max_starts = max_starts
        self.standing: list[Member] = []
        self.idle: list[Member] = []
        self.starting: dict[Any, Member] = {}  # reference of ready() → actor
        self.restarts = 0
        for _ in range(size):
            self._start()

    def _start(self, failed_starts: int = 0, lost_starts: int = 0) -> None:
        member = Member(ray.remote(Worker).options(**self._options).remote(self._build), failed_starts, lost_starts)
        self.starting[member.actor.ready.remote()] = member

    def join(self, reference: Any) -> Standing | None:
        """Takes up the actor that stands now. None: it died while it started, and another one is starting."""
        member = self.starting.pop(reference)
        try:
            standing: Standing = ray.get(reference)
        except RayTaskError as error:
            raise _cause(error) from None
        except RayError as error:
            if getattr(error, "actor_init_failed", False):  # `build` could not even be unpickled there
                raise EvaluationError(f"an evaluator could not be started: {str(error).splitlines()[-1]}") from None
            failed, lost = member.failed_starts, member.lost_starts
            failed, lost = (failed, lost + 1) if machine_left(error) else (failed + 1, lost)
            if failed >= self._max_starts or lost > MOST_LOSSES:
                reason = f"it died {failed + lost} times while it started ({type(error).__name__})"
                raise EvaluationError(f"an evaluator could not be started: {reason}") from None
            self.restarts += 1
            self._start(failed, lost)
            return None
        member.version = standing.version
        self.standing.append(member)
        self.idle.append(member)
        return standing

    def wait_for_one(self) -> Standing | None:
        """Waits until an actor has started, and joins it; a line in the log each minute that none can."""
        while True:
            done, _ = ray.wait(list(self.starting), num_returns=1, timeout=STARVED_S)
            if done:
                return self.join(done[0])
            self.warn_if_starved()

    def warn_if_starved(self) -> None:
        """Says in the log that no actor stands."""
        if not self.standing:
            have = {name: amount for name, amount in ray.cluster_resources().items() if name in ("CPU", "GPU")}
            wanted = {"CPU": self._options["num_cpus"], "GPU": self._options["num_gpus"]}
            _log.warning("no evaluator has room to start: each needs %s, the cluster has %s", wanted, have)

    def first(self) -> Member:
        """An actor that stands; waits for one if need be."""
        while not self.standing:
            self.wait_for_one()
        return self.standing[0]

    def replace(self, member: Member) -> None:
        """Ends an actor that is dead or does not answer; another one starts in its place."""
        self.standing.remove(member)
        if member in self.idle:
            self.idle.remove(member)
        ray.kill(member.actor)
        self.restarts += 1
        self._start()

    def close(self) -> None:
        """Ends all actors: their processes exit, and with them goes what they hold, GPU memory included."""
        for member in [*self.standing, *self.starting.values()]:
            ray.kill(member.actor)
        self.standing, self.idle, self.starting = [], [], {}


def _cause(error: RayTaskError) -> Exception:
    """What was raised in the actor, without Ray's wrapping."""
    return error.cause if isinstance(error.cause, Exception) else EvaluationError(str(error))
