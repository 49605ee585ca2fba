"""Ray for the time of a command: its own on this machine, or a cluster that the user names."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from natrl.evaluation.pool.resources import check_resources
from natrl.files.paths import absolute
from natrl.tuning.watch import watched

__all__ = ["check_reachable", "check_resources", "own_ray_options", "ray_session"]

#: Set before Ray is imported: no usage statistics, no chatter of its processes, GPUs left visible to CPU tasks.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
}

#: Variables that name folders; workers that inherit them have another current folder.
_FOLDERS = ("NATRL_DATA", "NATRL_DATA_ROOT")

#: Loggers of Ray that speak of what is meant to be (its new API), or print tracebacks that a RunError sums up.
_LOUD = ("ray.rllib.algorithms.algorithm_config", "ray.tune")

PATIENCE_S = 10.0  # for a cluster to answer


@contextmanager
def ray_session(
    address: str | None = None, *, num_cpus: int | None = None, verbose: bool = False, hint: str = "start it again"
) -> Iterator[None]:
    """Ray for the body of the `with`; a Ray that runs in this process already is used and left running.

    Where Ray ends before the body does, this process ends with one line, which says how to go on by `hint`, and exit
    code 2 (natrl.tuning.watch).

    `address`: None starts a Ray of one's own on this machine (inside a Ray job: joins its cluster), "auto" or
    "host:port" joins a cluster. ConnectionError in one line if there is none.
    """
    if not verbose:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _FOLDERS:
        if folder := os.environ.get(name):
            os.environ[name] = str(absolute(folder))
    import ray

    if ray.is_initialized():
        yield
        return
    if address is not None:
        check_reachable(address)
    address = address or ("auto" if os.environ.get("RAY_ADDRESS") else "local")
    options: dict[str, Any] = own_ray_options() | {"num_cpus": num_cpus} if address == "local" else {}
    try:
        ray.init(
            address=address, logging_level=logging.INFO if verbose else logging.ERROR, log_to_driver=verbose, **options
        )
    except Exception as error:  # where its processes do not come up, Ray (2.60) raises just that
        missing = "Ray did not start on this machine" if address == "local" else f"no Ray at address {address!r}"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConnectionError(f"{missing}: {reason}") from error
    try:
        with watched(hint):
            yield
    finally:
        ray.shutdown()


def own_ray_options() -> dict[str, Any]:
    """What `ray.init` is told of a Ray of one's own: no dashboard, and where Python is.

    Ray (2.60, RuntimeEnvContext.exec_worker) starts the workers of a Tune trial by a shell line in which the path of
    Python is not quoted: from a virtual environment in a folder with a space in its name none would ever start.
    """
    python = shlex.quote(sys.executable)
    environment = {} if python == sys.executable else {"runtime_env": {"py_executable": python}}
    return {"include_dashboard": False, **environment}


def check_reachable(address: str) -> None:
    """ConnectionError if nothing listens at a "host:port": Ray itself tries for minutes, and says so on and on."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(
            f"no Ray at address {address!r}: {error}; `ray status` on the head node says where it is"
        ) from None
