"""Checkpoints that a kill or a full disk left in part: the trials go on from those before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.trainable.metadata import _TrainingRunMetadata

from natrl.files.seals import is_sealed
from natrl.runs.directory import tune_dir
from natrl.tuning.state import change_trials

__all__ = ["mend_checkpoints"]


def mend_checkpoints(directory: Path) -> None:
    """Lets each trial of a run or sweep know its whole checkpoints alone, and removes the others.

    Where Tune's state is older than all that are left, the oldest takes the name of the newest that it knows. A trial
    without any starts anew. ValueError if the state cannot be read.
    """
    change_trials(directory, lambda text, data: _mended(text, data, tune_dir(directory)))


def _mended(text: str, data: str, folder: Path) -> tuple[str, str]:
    """A trial as Tune writes it down, what it is and how far it got."""
    run = _TrainingRunMetadata.from_json_state(data)
    manager: Any = run.checkpoint_manager
    known = {_folder(result, folder): result for result in manager._checkpoint_results}
    if not known:
        return text, data
    _keep_whole(sorted(next(iter(known)).parent.glob("checkpoint_*")), max(known))
    whole = [result for path, result in sorted(known.items()) if path.is_dir()]
    if len(whole) == len(known):
        return text, data
    manager._checkpoint_results = whole
    manager._latest_checkpoint_result = whole[-1] if whole else None
    run.invalidate_cache()
    return json.dumps(json.loads(text) | {"status": Trial.PENDING}), run.get_json_state()


def _folder(result: Any, folder: Path) -> Path:
    """Of a checkpoint, wherever the run was when it was made."""
    path = Path(result.checkpoint.path)
    return folder / path.parent.name / path.name


def _keep_whole(folders: list[Path], newest: Path) -> None:
    """Removes what is not whole; if no folder up to the newest one known is left, one after it takes its name."""
    whole = [path for path in folders if is_sealed(path)]
    for path in set(folders) - set(whole):
        shutil.rmtree(path)
    if whole and whole[0] > newest:
        whole[0].rename(newest)
