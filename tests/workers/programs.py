"""Programs in processes of their own, forked like Ray's workers: their imports take no time (tests/workers/fork.py)."""

from __future__ import annotations

import os
import select
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from typing import IO

from tests.workers.fork import send, VARIABLE

__all__ = ["Program", "run_program"]

PATIENCE_S = 240


class Program:
    """`python -c CODE …` or `python -m MODULE …`, in a session of its own, whose number is `pid`.

    The fixture `workers` must be there. What it prints goes to files.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        request = {"program": True, "arguments": [*arguments], "environment": dict(environment), "folder": str(folder)}
        with ExitStack() as opened:
            self._line = opened.enter_context(socket.socket(socket.AF_UNIX))
            self._line.connect(os.environ[VARIABLE])
            with open(os.devnull, "r+") as nothing:
                send(self._line, request, [(file or nothing).fileno() for file in (None, stdout, stderr)])
            self.pid = self._number()
            opened.pop_all()

    def ended(self, within_s: float = 0.0) -> bool:
        """Whether it ends within so many seconds."""
        return bool(select.select([self._line], [], [], within_s)[0])

    def close(self) -> int:
        """Waits for its end; its exit code, −N where signal N ended it."""
        code = self._number()
        self._line.close()
        return code

    def _number(self) -> int:
        return int.from_bytes(self._line.recv(8, socket.MSG_WAITALL), "big", signed=True)


def run_program(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Like `subprocess.run` with the output captured. TimeoutExpired after four minutes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        program = Program(arguments, folder, environment, stdout=out, stderr=err)
        if not program.ended(PATIENCE_S):
            os.killpg(program.pid, signal.SIGKILL)
            program.close()
            raise TimeoutExpired([*arguments], PATIENCE_S)
        code = program.close()
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read())
        return CompletedProcess([*arguments], code, *said)
