"""Notices that Ray itself is gone, which its calls do not: they wait for ever, or for a minute.

Of a Ray that this process started its processes are watched; of a cluster that it joined the head is asked, and whether
it still knows this machine.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from natrl.checks.errors import one_line
from natrl.news import say

__all__ = ["watched"]

PERIOD_S = 1.0
SILENCE_S = 15.0  # of a cluster's head, before it counts as gone
ASKING_S = 5.0  # that the head has to answer
EXIT_CODE = 2
#: A user's cluster whose head starts again (Redis keeps its state) has as long as Ray itself would wait.
RESTART = "RAY_gcs_rpc_server_reconnect_timeout_s"
NAMES = {"raylet": "raylet", "gcs_server": "GCS"}


@contextmanager
def watched(hint: str) -> Iterator[None]:
    """Ends this process with one line and exit code 2 as soon as the Ray that it uses is gone; `hint`: how to go on.

    Nothing else helps: threads that are in a call of Ray's never return. The processes of a Ray of our own end with it.
    """
    watch = _own_ray() or _joined_cluster()
    if watch is None:
        yield
        return
    done = threading.Event()
    ours, theirs = socket.socketpair()

    def look() -> None:
        while not done.is_set():
            select.select([theirs, *watch.exits], [], [], PERIOD_S)
            if not done.is_set() and (reason := watch.lost()):
                _end(watch, reason, hint)

    thread = threading.Thread(target=look, name="natrl: is Ray there", daemon=True)
    thread.start()
    try:
        yield
    except Exception:
        if reason := watch.lost():  # which says more than the error that came of it
            _end(watch, reason, hint)
        raise
    finally:
        done.set()
        ours.close()  # which wakes the thread
        thread.join()
        theirs.close()
        for descriptor in watch.exits:
            os.close(descriptor)


class _OwnRay:
    """The Ray that this process has started."""

    def __init__(self, node: Any) -> None:
        self._services = {name: node.all_processes[name][0].process for name in NAMES}
        self._others = [i.process for infos in node.all_processes.values() for i in infos]
        self._workers: set[Any] = set()
        #: Readable at once when one has ended: Ray ends a process that puts an object then, without a word.
        self.exits = [os.pidfd_open(p.pid) for p in self._services.values()] if hasattr(os, "pidfd_open") else []

    def lost(self) -> str | None:
        """Why it is gone; None: it is there."""
        import psutil  # type: ignore[import-untyped]  # Ray brings it along

        for name, process in self._services.items():
            if (code := process.poll()) is not None:
                return f"its {NAMES[name]} " + (
                    f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                )
        with suppress(psutil.Error):  # they are nobody's children once the raylet is gone
            self._workers = set(psutil.Process(self._services["raylet"].pid).children(recursive=True))
        return None

    def clear(self) -> None:
        """Ends what is left of it."""
        for process in [*self._others, *self._workers]:
            with suppress(Exception):  # it has ended
                process.kill()


class _Cluster:
    """A cluster that this process has joined; it is left alone."""

    exits: tuple[int, ...] = ()

    def __init__(self, gcs: Any, node_id: Any) -> None:
        self._gcs, self._node_id = gcs, node_id
        self._heard = time.monotonic()
        self._patience = float(os.environ.get(RESTART, SILENCE_S))

    def lost(self) -> str | None:
        """Why it is gone; None: it is there."""
        from ray.exceptions import RpcError

        try:
            (alive,) = self._gcs.check_alive([self._node_id], timeout=ASKING_S)
        except RpcError:
            silence = time.monotonic() - self._heard
            return f"its head has not answered for {silence:.0f} s" if silence > self._patience else None
        self._heard = time.monotonic()
        return None if alive else "its raylet on this machine has ended"

    def clear(self) -> None:
        """Nothing of it is ours."""


def _own_ray() -> _OwnRay | None:
    import ray

    node = ray._private.worker._global_node
    return _OwnRay(node) if node is not None and set(NAMES) <= set(node.all_processes) else None


def _joined_cluster() -> _Cluster | None:
    """None where it is reached through a Ray client, which notices by itself."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # a Cython module

    if ray.util.client.ray.is_connected():
        return None
    context = ray.get_runtime_context()
    return _Cluster(GcsClient(address=context.gcs_address), ray.NodeID.from_hex(context.get_node_id()))


def _end(watch: _OwnRay | _Cluster, reason: str, hint: str) -> None:
    watch.clear()
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K\x1b[?25h")  # a progress bar was there, and hid the cursor
    say("natrl: " + one_line(f"Ray is gone: {reason}; {hint}"), level=logging.ERROR)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)
