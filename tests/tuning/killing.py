"""Killing a driver and all of its Ray, as a machine that goes down would."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, IO

from natrl.runs.directory import results_file
from tests.workers.programs import Program

PATIENCE_S = 240
_first_checkpoint: dict[Path, float] = {}


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
    """Tune has written its state after the first checkpoint was complete."""
    written = [state.stat().st_mtime for state in run.glob("tune/experiment_state-*.json")]
    first = results_file(run).parent / "checkpoint_000000" / "natrl_state.pt"
    if first.exists():
        _first_checkpoint.setdefault(run, first.stat().st_mtime)
    return run in _first_checkpoint and max(written, default=0) > _first_checkpoint[run] + 0.2
