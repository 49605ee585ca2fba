"""Any evaluator on N Ray actors.

One evaluation in flight per actor, whoever finishes first gets the next: uneven durations keep no actor idle. Actors
are neither restarted nor retried by Ray, because an architecture that kills its actor would do so for ever; the pool
replaces dead actors itself and gives up on an architecture after `max_attempts`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from natrl.checks.arguments import checked
from natrl.checks.fields import Amount, Count, Positive
from natrl.core.architecture import Architecture
from natrl.evaluation.base import EvaluationError, Evaluator, FailedEvaluations
from natrl.evaluation.pool.crew import Crew, Member, STARVED_S
from natrl.evaluation.pool.losses import machine_left, MOST_LOSSES
from natrl.evaluation.pool.request import Part, Request
from natrl.evaluation.pool.resources import check_resources
from natrl.evaluation.pool.worker import Answer, to_arrays, to_tensors

__all__ = ["EvaluationError", "FailedEvaluations", "PoolEvaluator"]


MANY = 16  # pending references; from there on all that are ready are taken at once: asking for each costs as much


class _Job(NamedTuple):
    """An evaluation under way."""

    member: Member
    part: Part
    deadline: float  # seconds, monotonic clock; infinite without a time-out


class PoolEvaluator(Evaluator):
    """Evaluates on `actors` Ray actors; the results come in the order asked for, each exactly once.

    `build` makes the evaluator inside an actor; it is sent through the object store once, so that image data in it is
    held once a machine. `num_cpus` and `num_gpus` are for each actor and may be fractions. `chunk` architectures travel
    at a time (more than 1 pays for evaluations of a millisecond). An evaluation fails that raises, gives NaN or a value
    out of range, ends its actor, or takes longer than `timeout` seconds (its actor is replaced then).

    An architecture that fails `max_attempts` times is given up, and the others are evaluated all the same: only then
    `evaluate` raises FailedEvaluations, which names each that failed, with its last reason, and holds the others'
    scores. `CachedEvaluator` keeps those, and in training it lets the run go on: a run over night must not end by one
    architecture, and one that cannot be evaluated earns the lowest reward there (`on_failure="skip"`).

    What a policy proposes, and what happens between its iterations, the evaluators inside are not told: an evaluator
    that wants to know stands around the pool, as the surrogate does.

    The pool is elastic: actors that do not fit into the cluster start when machines join, and those of machines that
    leave are replaced where there is room. What `build` raises is raised; ValueError if not even one actor can ever
    have the resources asked for.
    """

    @checked
    def __init__(
        self,
        build: Callable[[], Evaluator],
        *,
        actors: Count,
        num_cpus: Amount = 1,
        num_gpus: Amount = 0,
        chunk: Count = 1,
        timeout: Positive | None = None,
        max_attempts: Count = 3,
    ) -> None:
        if ray.util.get_current_placement_group() is None:  # a trial's group has been granted already
            check_resources(actors=1, num_cpus=num_cpus, num_gpus=num_gpus)
        self._chunk, self._timeout, self._max_attempts = chunk, timeout, max_attempts
        self._crew = Crew(build, actors, num_cpus=num_cpus, num_gpus=num_gpus, max_starts=max_attempts)
        self._trainer: Member | None = None  # whose evaluator holds the newest state
        self._state: Any = None  # the newest state, tensors as arrays; None: as built
        self._weights: Any = None  # reference to the newest weights
        self._counts = _Counts()
        try:
            while (standing := self._crew.wait_for_one()) is None:
                pass
        except BaseException:
            self._crew.close()
            raise
        self.metric, self.version, self._settings, self.rotates = standing
        self._weights_version = self.version  # when the newest weights were new

    @property
    def restarts(self) -> int:
        """How many actors were replaced."""
        return self._crew.restarts

    def evaluate(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """float64 (N,): the validation score of each architecture. FailedEvaluations after all others are done."""
        request = Request(architectures, chunk=self._chunk, max_attempts=self._max_attempts)
        with self._running() as running, self._counts.time():
            self._dispatch(request, running)
            self._counts.queue = max(self._counts.queue, sum(map(len, request.waiting)))
            while request.waiting or running:
                for reference in self._wait(running):
                    if reference in self._crew.starting:
                        self._crew.join(reference)
                    else:
                        self._finish(request, running, reference)
                self._dispatch(request, running)
        return request.result()

    @contextmanager
    def _running(self) -> Iterator[dict[Any, _Job]]:
        """The evaluations under way, by reference. If the body raises, their actors are replaced: none stays busy."""
        running: dict[Any, _Job] = {}
        try:
            yield running
        finally:
            for job in running.values():
                self._crew.replace(job.member)

    def _dispatch(self, request: Request, running: dict[Any, _Job]) -> None:
        """Gives idle actors something to do."""
        while request.waiting and self._crew.idle:
            member, part = self._crew.idle.pop(), request.waiting.popleft()
            weights = self._weights if member.version != self._weights_version else None
            reference = member.actor.evaluate.remote(request.of(part), self.version, weights)
            deadline = time.monotonic() + self._timeout * len(part) if self._timeout else float("inf")
            running[reference] = _Job(member, part, deadline)

    def _wait(self, running: dict[Any, _Job]) -> list[Any]:
        """References of what has finished, started, or run out of time."""
        pending = [*running, *self._crew.starting]
        first = min((job.deadline for job in running.values()), default=float("inf"))
        patience = min(STARVED_S, max(0.0, first - time.monotonic()))
        done, _ = ray.wait(pending, num_returns=1, timeout=patience)
        if not done:
            self._crew.warn_if_starved()
        elif len(pending) > MANY:
            done, _ = ray.wait(pending, num_returns=len(pending), timeout=0)
        if first == float("inf"):
            return done
        now = time.monotonic()
        return done + [r for r, job in running.items() if job.deadline <= now and r not in done]

    def _finish(self, request: Request, running: dict[Any, _Job], reference: Any) -> None:
        """Takes an evaluation's answer, or replaces its actor and has it done again."""
        member, part, _ = running[reference]
        try:
            answer: Answer = ray.get(reference, timeout=0)
        except RayTaskError as error:  # the ledger cannot be written
            raise error.cause from None
        except (GetTimeoutError, RayError) as error:
            del running[reference]
            self._crew.replace(member)
            if machine_left(error):
                request.lose(part, "its machine left")
                return
            late = isinstance(error, GetTimeoutError)
            self._counts.failed_attempts += 1
            request.fail(part, f"no result within {self._timeout} s" if late else f"{type(error).__name__}: actor died")
            return
        del running[reference]
        self._crew.idle.append(member)
        if answer.scores is None:
            member.version = None  # perhaps it was the weights
            self._counts.failed_attempts += 1
            request.fail(part, answer.reason)
            return
        member.version = self._weights_version
        self._counts.evaluated += len(part)
        request.settle(part, answer.scores)

    def train_weights(self, steps: int) -> dict[str, float]:
        """Trains the shared weights on one actor; the others get them with their next evaluation.

        They travel once a version and machine, through the object store. If the actor dies, another one makes the same
        steps from the newest state.
        """

        def train(member: Member) -> list[Any]:
            state = None if member is self._trainer else self._state
            return member.actor.train.options(num_returns=3).remote(steps, state, self.version)

        return self._take_weights(train)

    def before_update(self) -> None:
        """Actors follow with their next evaluation."""
        self.version += self.rotates

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from `state_dict`: at once on one actor, on the others with their next evaluation."""
        if not state:
            return
        arrays = to_arrays(state)
        self._take_weights(lambda member: [*member.actor.load.options(num_returns=2).remote(arrays), ray.put(arrays)])

    def _take_weights(self, call: Callable[[Member], list[Any]]) -> dict[str, float]:
        """Calls an actor for references of ((metrics, version), weights, state), and keeps them; the metrics.

        The values are held, not only their references: then a copy is on this machine, whatever becomes of the actor's.
        """
        ((metrics, self.version), self._held, self._state), self._weights, self._trainer = self._ask(call)
        self._weights_version = self.version
        for member in self._crew.standing:
            member.version = self.version if member is self._trainer else None
        return metrics

    def _ask(self, call: Callable[[Member], list[Any]]) -> tuple[list[Any], Any, Member]:
        """Values of the references that a call of an actor gives, the second reference, and the actor."""
        deaths = losses = 0
        while deaths < self._max_attempts and losses <= MOST_LOSSES:
            member = self._crew.first()
            references = call(member)
            try:
                return ray.get(references), references[1], member
            except RayTaskError as error:
                raise error.cause from None
            except RayError as error:
                self._crew.replace(member)
                deaths, losses = (deaths, losses + 1) if machine_left(error) else (deaths + 1, losses)
        raise EvaluationError(f"{deaths + losses} actors died one after the other in the same call")

    def state_dict(self) -> dict[str, Any]:
        """The evaluator's state (weights, optimizer, random state), for checkpoints."""
        if self._state is None:
            (state, _), *_ = self._ask(lambda member: [member.actor.state.remote(), ray.put(None)])
        else:
            state = self._state
        return to_tensors({**state, "version": self.version} if self.rotates else state)

    def settings(self) -> dict[str, Any] | None:
        return self._settings

    def statistics(self) -> dict[str, float]:
        """`evaluations_per_second` (while there was work) and `queue` (most that waited for an actor) since the last
        call; `actors` that stand; `actor_restarts` and `failed_attempts` in all.
        """
        return {**self._counts.flush(), "actors": len(self._crew.standing), "actor_restarts": self.restarts}

    def close(self) -> None:
        """Ends the actors, and with them what they hold."""
        self._crew.close()
        self._trainer = self._weights = self._held = None


class _Counts:
    """What the pool counts."""

    def __init__(self) -> None:
        self.failed_attempts = 0
        self.evaluated = 0
        self.queue = 0
        self._seconds = 0.0

    @contextmanager
    def time(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - start

    def flush(self) -> dict[str, float]:
        rate = self.evaluated / self._seconds if self._seconds else 0.0
        found = {"evaluations_per_second": rate, "queue": self.queue, "failed_attempts": self.failed_attempts}
        self.evaluated, self.queue, self._seconds = 0, 0, 0.0
        return found
