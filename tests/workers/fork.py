"""Ray workers for the tests: forked from one process that has imported torch and RLlib, instead of started each.

A worker of Ray imports Ray twice, then torch, RLlib and natrl: 5 s of a core before it does anything, and the tests
start some 170 of them. A process that has done so once, and is forked for each worker, leaves what workers do as it is.
Whole programs (tests/workers/programs.py) are forked from it likewise, with such workers of their own.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import importlib.util
import inspect
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["VARIABLE", "forked_workers", "receive", "send"]

ASK = Path(__file__).with_name("ask.py")
VARIABLE = "NATRL_TEST_WORKERS"
WITHOUT_RAY = ("torch", "torchvision", "mlflow", "pandas", "gymnasium", "natrl.evaluation.scratch", "natrl.policies")
WITH_RAY = ("ray.tune", "ray.rllib.algorithms.ppo", "natrl.rllib.config", "natrl.tuning.run")


@contextmanager
def forked_workers(folder: Path) -> Iterator[None]:
    """Of every Ray that this process starts in the body of the `with`."""
    path = folder / "workers"
    command = [sys.executable, "-m", "tests.workers.fork", str(path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline(), "the process that workers are forked from did not start"  # it listens
        find_callers_quickly()
        forget = ask_at(path)
        yield
        forget()
        serving.kill()


def ask_at(path: Path) -> Callable[[], None]:
    """From now on workers of the Rays that this process starts are asked for there; what it returns ends that."""
    import ray._private.parameter as parameter

    before = parameter.RayParams

    class Params(before):  # type: ignore[valid-type, misc]
        def __init__(self, *values: Any, **named: Any) -> None:
            super().__init__(*values, **{"setup_worker_path": str(ASK), **named})

    def forget() -> None:
        parameter.RayParams = before  # type: ignore[misc]
        del os.environ[VARIABLE]

    parameter.RayParams = Params  # type: ignore[misc]
    os.environ[VARIABLE] = str(path)
    return forget


def serve(path: str, *, tell: bool = False) -> None:
    """Hands each request to a process for the Ray that it comes from: Ray reads its settings when it is imported."""
    rays: dict[str, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        if tell:
            print("listening", flush=True)
        while True:
            line, _ = server.accept()
            request, files = receive(line)
            if request.pop("program", False):
                if os.fork() == 0:
                    server.close()
                    return watch(line, files, request)
                for file in files:
                    os.close(file)
                line.close()
                continue
            session = request["environment"]["RAY_RAYLET_PID"]
            if session not in rays:
                rays[session], theirs = socket.socketpair(socket.AF_UNIX)
                if os.fork() == 0:
                    for copy in (server, line, *rays.values()):
                        copy.close()
                    for file in files:
                        os.close(file)
                    return fork_workers(theirs, request["environment"])
                theirs.close()
            send(rays[session], request, [line.fileno(), *files])
            for file in files:
                os.close(file)
            line.close()


def watch(line: socket.socket, files: list[int], request: dict[str, Any]) -> None:
    """Tells who asked for a program its number, and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = os.fork()
    if program == 0:
        line.close()
        os.setsid()
        return become_program(files=files, **request)
    line.sendall(program.to_bytes(8, "big"))
    for file in files:
        os.close(file)
    ended = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    line.sendall(ended.to_bytes(8, "big", signed=True))
    os._exit(0)


def become_program(arguments: list[str], environment: dict[str, str], folder: str, files: list[int]) -> None:
    """`python -c CODE …` or `python -m MODULE …`; the workers of its Ray are forked, too, in its session."""
    settle(environment, folder, files)
    if "RAY_ADDRESS" not in environment:
        path = Path(environment[VARIABLE]).with_name(str(os.getpid()))  # names of sockets are short
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: not without the program
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            serve(str(path))
        while not path.exists():
            time.sleep(0.001)
        ask_at(path)
    kind, what, *sys.argv[1:] = arguments
    sys.argv[0] = kind
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(main))


def settle(environment: dict[str, str], folder: str, files: list[int]) -> None:
    """Takes over what the process that was asked for would have had."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.path[1:1] = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
    random.seed()


def fork_workers(requests: socket.socket, environment: dict[str, str]) -> None:
    """One for each request; `environment`: with which Ray is imported."""
    os.environ.clear()
    os.environ.update(environment)
    for module in WITH_RAY:
        importlib.import_module(module)
    importlib.import_module("natrl.evaluation.table").load_table("nasbench201")  # a second, and many runs learn from it
    connect_one_by_one()
    find_callers_quickly()
    gc.collect()
    gc.freeze()
    while True:
        request, files = receive(requests)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            os.close(files.pop(0))  # who asked may end
            return become(files=files, **request)
        for file in files:
            os.close(file)


def connect_one_by_one() -> None:
    """Workers that are forked from this process will not connect to their Ray at the same time.

    They share the state of Ray's random numbers, and so the name of the object with which each tries the object store:
    "Check failed: WarmupStore() Status not OK: ObjectNotFound" ends a worker while another holds that name.
    """
    from ray._private import worker

    connect, turn = worker.connect, tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process)

    def connect_in_turn(*values: Any, **named: Any) -> None:
        fcntl.lockf(turn, fcntl.LOCK_EX)
        connect(*values, **named)
        fcntl.lockf(turn, fcntl.LOCK_UN)

    worker.connect = connect_in_turn


def find_callers_quickly() -> None:
    """RLlib's connectors find their caller's frame without the source of every other: a second less an algorithm."""
    import ray.rllib.connectors.connector_v2 as connectors

    def stack() -> list[Any]:
        return [types.SimpleNamespace(frame=frame) for frame in (sys._getframe(1), sys._getframe(2))]

    connectors.inspect = types.SimpleNamespace(stack=stack, getargvalues=inspect.getargvalues)


def send(line: socket.socket, request: dict[str, Any], files: Sequence[int]) -> None:
    message = json.dumps(request).encode()
    socket.send_fds(line, [len(message).to_bytes(8, "big")], files)
    line.sendall(message)


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, files, _, _ = socket.recv_fds(line, 8, 4)
    if not head:
        sys.exit()
    length, message = int.from_bytes(head, "big"), b""
    while len(message) < length:
        message += line.recv(length - len(message))
    return json.loads(message), files


def become(arguments: list[str], environment: dict[str, str], folder: str, files: list[int]) -> None:
    """The worker that Ray asked for, as ray/_private/workers/setup_worker.py makes it."""
    from ray._private.runtime_env.context import RuntimeEnvContext, update_envs
    from ray._private.workers import setup_worker

    settle(environment, folder, files)
    known, rest = setup_worker.parser.parse_known_args(arguments)
    context = RuntimeEnvContext.deserialize(known.serialized_runtime_env_context or "{}")
    if context.command_prefix or context.override_worker_entrypoint or known.language != "PYTHON":
        os.execv(sys.executable, [sys.executable, setup_worker.__file__, *arguments])
    update_envs(context.env_vars)
    script, *sys.argv[1:] = rest
    sys.argv[0] = script
    sys.path[0] = str(Path(script).parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    for module in filter(importlib.util.find_spec, WITHOUT_RAY):  # trackers are no part of the least that tests need
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    serve(sys.argv[1], tell=True)
