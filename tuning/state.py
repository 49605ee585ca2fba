"""Tune's state, kept whole: a kill may catch Tune as it writes, and a file that is there in part says nothing.

Tune writes its state and its results into a folder of the driver's and copies that to the run, whole files each time.
natrl keeps the last whole ones beside them, and puts these back where a file of Tune's is damaged.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import PROTO
from pickletools import genops
from typing import Any

from ray import tune

from natrl.files.writing import replacing, write_atomically
from natrl.runs.directory import tune_dir

__all__ = ["KEPT", "KeepState", "change_trials", "has_state", "mend", "newest_state"]

KEPT = "kept"  # folder in Tune's
TUNER = "tuner.pkl"  # written once, before the first trial
STATE = "experiment_state-*.json"
FILES = ("*.json", "*.pkl")  # the state, the searcher's, the callbacks', and what was asked for
RESULTS = "*/result.json"  # a trial's, one line an iteration: only ever appended to
PERIOD_S = 1.0


class KeepState(tune.Callback):
    """Copies what Tune has just written, every second."""

    def __init__(self) -> None:
        self._next, self._copied = 0.0, {}  # type: tuple[float, dict[str, int]]  # when written, or how much

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
        for results in staged.glob(RESULTS):
            trial = results.parent.name
            self._copied[trial] = _append(results, kept / trial / results.name, self._copied.get(trial, 0))

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
    for kept in (folder / KEPT).glob(RESULTS):
        results = folder / kept.relative_to(folder / KEPT)
        longest = max(_lines(results), _lines(kept), key=len)
        for file in (results, kept):
            if longest and not (file.exists() and file.read_bytes() == longest):
                file.parent.mkdir(parents=True, exist_ok=True)
                with replacing(file) as fresh:
                    fresh.write_bytes(longest)


def has_state(directory: Path) -> bool:
    """Whether Tune has written down what it was doing."""
    path = tune_dir(directory)
    return tune.Tuner.can_restore(str(path)) and newest_state(directory) is not None


def newest_state(directory: Path) -> Path | None:
    """The state that Tune would go on with; None if there is none."""
    return max(tune_dir(directory).glob(STATE), default=None)  # names end with the time


def change_trials(directory: Path, change: Callable[[str, str], tuple[str, str]]) -> None:
    """Writes anew what Tune's state says of each trial: what it is, and how far it got. ValueError if it is damaged."""
    file = newest_state(directory)
    if file is None:
        return
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        trials = [list(change(*trial)) for trial in state["trial_data"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is damaged, or another Ray's ({type(error).__name__}); start anew") from error
    if trials != state["trial_data"]:
        write_atomically(file, json.dumps(state | {"trial_data": trials}))


def _files(folder: Path) -> Sequence[Path]:
    return sorted({file for pattern in FILES for file in folder.glob(pattern)})


def _append(source: Path, copy: Path, start: int) -> int:
    """Brings a copy, of the first `start` bytes of a file that only grows, up to date. Returns how many it holds.

    (A trial that is tried again goes on with what Tune has of it, which may be less: then the copy is made anew.)
    """
    copy.parent.mkdir(exist_ok=True)
    start = 0 if source.stat().st_size < start else start
    with source.open("rb") as grown, copy.open("ab" if start else "wb") as behind:
        grown.seek(start)
        shutil.copyfileobj(grown, behind)
        return grown.tell()


def _lines(file: Path) -> bytes:
    """What a file holds but for a line that was begun and not ended; nothing if there is none."""
    content = file.read_bytes() if file.exists() else b""
    return content[: content.rfind(b"\n") + 1]


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
