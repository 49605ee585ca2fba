"""Tune's state, kept whole: a kill may catch Tune as it writes, and a file that is there in part says nothing.

Tune writes its state into a folder of the driver's and copies that to the run. natrl keeps the last whole files beside
them, and puts these back where a file of Tune's is damaged.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from pickle import PROTO
from pickletools import genops
from typing import Any

from ray import tune

from natrl.files.writing import replacing
from natrl.runs.directory import tune_dir

__all__ = ["KEPT", "KeepState", "has_state", "mend", "newest_state"]

KEPT = "kept"  # folder in Tune's
TUNER = "tuner.pkl"  # written once, before the first trial
STATE = "experiment_state-*.json"
FILES = ("*.json", "*.pkl")  # the state, the searcher's, the callbacks', and what was asked for
PERIOD_S = 1.0


class KeepState(tune.Callback):
    """Copies what Tune has just written, every second."""

    def __init__(self) -> None:
        self._next, self._copied = 0.0, {}  # type: tuple[float, dict[str, int]]

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Between two of Tune's steps no file of its folder is being written."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PERIOD_S
            self._copy(trials)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._copy(trials)

    def _copy(self, trials: list[Any]) -> None:
        if not trials:
            return
        storage = trials[0].storage
        staged, kept = Path(storage.experiment_driver_staging_path), Path(storage.experiment_fs_path) / KEPT
        kept.mkdir(exist_ok=True)
        for file in (*_files(staged), kept.parent / TUNER):
            written = file.stat().st_mtime_ns
            if self._copied.get(file.name) != written:
                with replacing(kept / file.name) as fresh:
                    shutil.copyfile(file, fresh)
                self._copied[file.name] = written

    def __getstate__(self) -> dict[str, Any]:
        return {"_next": 0.0, "_copied": {}}


def mend(directory: Path) -> None:
    """Puts whole files in the place of damaged ones in a run or sweep; what no whole one is kept of is removed."""
    folder = tune_dir(directory)
    for file in sorted({*_files(folder), *(folder / kept.name for kept in _files(folder / KEPT))}):
        if not _is_whole(file):
            whole = folder / KEPT / file.name
            if whole.exists() and _is_whole(whole):
                with replacing(file) as fresh:
                    shutil.copyfile(whole, fresh)
            else:
                file.unlink(missing_ok=True)


def has_state(directory: Path) -> bool:
    """Whether Tune has written down what it was doing."""
    path = tune_dir(directory)
    return tune.Tuner.can_restore(str(path)) and newest_state(directory) is not None


def newest_state(directory: Path) -> Path | None:
    """The state that Tune would go on with; None if there is none."""
    return max(tune_dir(directory).glob(STATE), default=None)  # names end with the time


def _files(folder: Path) -> Sequence[Path]:
    return sorted({file for pattern in FILES for file in folder.glob(pattern)})


def _is_whole(file: Path) -> bool:
    """Whether it can be read to its end; of pickles nothing is executed."""
    try:
        content = file.read_bytes()
        if content.startswith(PROTO):  # whatever its suffix
            deque(genops(content), maxlen=0)
        else:
            json.loads(content)
    except (OSError, ValueError):
        return False
    return True
