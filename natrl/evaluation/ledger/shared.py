"""The ledger behind one named Ray actor: all actors and trials of a cluster share it, one process has the file open."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from natrl.evaluation.ledger.file import Ledger, LedgerError, Paid
from natrl.files.paths import absolute

__all__ = ["SharedLedger", "open_ledger", "serve_ledger"]

NAMESPACE = "natrl"
ATTEMPTS = 5  # to reach the actor, which is made anew each time


class _Service:
    """The actor. The file is opened by the first call: Ray would repeat a constructor that raises for ever."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._ledger: Ledger | None = None

    def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the ledger."""
        self._ledger = self._ledger or Ledger(self._path)
        return getattr(self._ledger, method)(*arguments)


class SharedLedger:
    """`Ledger`, from any process of the Ray cluster. Picklable: what travels is the path.

    The actor is detached, so that it outlives the trial that made it, and starts again where it dies. It runs on the
    machine of whoever asks first, if that machine stays.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = absolute(path)
        self._actor: Any = None

    def claim(self, settings: str, keys: Sequence[str], owner: str) -> tuple[dict[str, float], list[str]]:
        """See `Ledger.claim`."""
        return self._call("claim", settings, list(keys), owner)

    def renew(self, settings: str, keys: Iterable[str], owner: str) -> None:
        """See `Ledger.renew`."""
        self._call("renew", settings, list(keys), owner)

    def release(self, settings: str, keys: Iterable[str], owner: str) -> None:
        """See `Ledger.release`."""
        self._call("release", settings, list(keys), owner)

    def known(self, settings: str, keys: Sequence[str]) -> dict[str, float]:
        """See `Ledger.known`."""
        return self._call("known", settings, list(keys))

    def put(self, settings: str, evaluations: Sequence[Paid], payment: str | None = None) -> None:
        """See `Ledger.put`. Whether Ray or we repeat the call, it counts once."""
        self._call("put", settings, list(evaluations), payment or uuid.uuid4().hex)

    def stop(self) -> None:
        """Ends the actor. Whoever still uses the ledger starts it again."""
        self._call("close")
        ray.kill(self._actor)
        self._actor = None

    def _call(self, method: str, *arguments: Any) -> Any:
        for _ in range(ATTEMPTS):
            self._actor = self._actor or self._start()
            try:
                return ray.get(self._actor.call.remote(method, *arguments))
            except RayTaskError as error:
                raise error.cause from None
            except RayActorError:  # stopped by another driver, or its machine is gone
                self._actor = None
        raise LedgerError(f"ledger {self.path}: its actor died {ATTEMPTS} times")

    def _start(self) -> Any:
        options = {
            "name": f"ledger:{self.path}",
            "namespace": NAMESPACE,
            "get_if_exists": True,
            "lifetime": "detached",
            "num_cpus": 0,
            "max_restarts": -1,
            "max_task_retries": -1,
            # Also keeps it out of a trial's placement group, with which it would end.
            "scheduling_strategy": NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True),
        }
        return ray.remote(_Service).options(**options).remote(str(self.path))

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_actor": None}


def open_ledger(path: Path | str) -> Ledger | SharedLedger:
    """The ledger at that path: shared where this process is connected to Ray, else this process's own."""
    return SharedLedger(path) if ray.is_initialized() else Ledger(path)


@contextmanager
def serve_ledger(path: Path | str) -> Iterator[SharedLedger]:
    """Keeps the shared ledger on this machine for the body, and ends its actor after it (a driver does so once).

    ValueError if the file is no ledger, LedgerError if it cannot be opened.
    """
    ledger = SharedLedger(path)
    ledger.claim("", [], "")  # opens the file
    try:
        yield ledger
    finally:
        with suppress(RayError, LedgerError):  # Ray itself may be gone, and the body's error says more
            ledger.stop()
