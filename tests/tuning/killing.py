"""Killing a driver and all of its Ray, as a machine that goes down would."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, IO

from tests.workers.programs import Program

PATIENCE_S = 240


def kill_at(moment: Callable[[], bool], program: str, *arguments: Any, then_s: float = 0.0) -> list[str]:
    """Runs a Python program until `moment`, and `then_s` longer; SIGKILL. Returns the lines of its standard error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}  # as users have it
    with tempfile.TemporaryFile("w+") as said:
        driver = Program(["-c", program, *map(str, arguments)], Path.cwd(), environment, stderr=said)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not moment():
                assert time.monotonic() < deadline, f"the moment never came: {_read(said)}"
                assert not driver.ended(), f"the driver ended before it was killed: {_read(said)}"
                time.sleep(0.02)
            time.sleep(then_s)
        finally:
            os.killpg(driver.pid, signal.SIGKILL)  # Ray's processes are in the driver's session
            driver.close()
        return _read(said).splitlines()


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def knows_a_checkpoint(run: Path) -> bool:
    """Tune's newest state names one, in what is pickled there; it is complete by then."""
    states = sorted(run.glob("tune/experiment_state-*.json"))
    return bool(states) and b"checkpoint_0000".hex() in states[-1].read_text()
