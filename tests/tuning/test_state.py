"""Tune's state after a kill that caught it as it wrote."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest

from natrl.runs.metrics import read_progress
from natrl.tuning.state import has_state, KEPT, mend
from tests.commands.cli import output, run

WHOLE = json.dumps({"trial_data": [["a", "b"]] * 20}).encode()
NAME = "experiment_state-2026-01-01.json"


@pytest.mark.parametrize("length", [0, 1, len(WHOLE) // 2, len(WHOLE) - 1])
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_file_written_in_part_gives_way_to_the_one_that_was_kept(tmp_path, length, is_kept):
    kept = tmp_path / "tune" / KEPT
    kept.mkdir(parents=True)
    (tmp_path / "tune" / NAME).write_bytes(WHOLE[:length])
    (kept / NAME).write_bytes(WHOLE if is_kept else WHOLE[:3])
    mend(tmp_path)
    assert [f.read_bytes() for f in (tmp_path / "tune").glob("*.json")] == [WHOLE] * is_kept
    assert not has_state(tmp_path), "there is no experiment, without Tune's own file"


def test_whole_files_stay_as_they_are(tmp_path):
    kept = tmp_path / "tune" / KEPT
    kept.mkdir(parents=True)
    later = {NAME: WHOLE, "search_gen_state-1.json": b"[1]", "callback_states-1.pkl": pickle.dumps([1])}
    for name, content in later.items():
        (tmp_path / "tune" / name).write_bytes(content)
        (kept / name).write_bytes(b"{}")
    mend(tmp_path)
    assert {f.name: f.read_bytes() for f in (tmp_path / "tune").iterdir() if f.is_file()} == later


def test_a_run_goes_on_from_a_half_written_state(ray_session, tmp_path, capsys):
    """Two trainings of seconds each: the second begins with what the first had left, less half of Tune's state."""
    run_dir, twin = tmp_path / "run", tmp_path / "twin"
    settings = ("--space", "nasbench201", "--reward", "table:nasbench201", "--batch-size", 16, "--iterations", 2)
    assert run("train", *settings, "--out", run_dir) == 0
    shutil.copytree(run_dir, twin)
    (state,) = (twin / "tune").glob("experiment_state-*.json")
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    for path in (run_dir, twin):
        output(capsys, "train", "--resume", path, "--iterations", 3)
    rewards = [[row["reward_mean"] for row in read_progress(path)] for path in (run_dir, twin)]
    assert len(rewards[0]) == 3
    assert rewards[0] == rewards[1]
