"""Tune's state after a kill that caught it as it wrote."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from natrl.policies import load_policy
from natrl.runs.directory import results_file
from natrl.runs.metrics import read_progress
from natrl.tuning.checkpoints import mend_checkpoints
from natrl.tuning.restore import last_checkpoint
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
    later = {NAME: WHOLE, "search_gen_state-1.json": b"[1]", "callback-states-1.pkl": pickle.dumps([1])}
    for name, content in later.items():
        (tmp_path / "tune" / name).write_bytes(content)
        (kept / name).write_bytes(b"{}")
    mend(tmp_path)
    assert {f.name: f.read_bytes() for f in (tmp_path / "tune").iterdir() if f.is_file()} == later


@pytest.fixture(scope="module")
def finished(ray_session, tmp_path_factory):
    """A run of two iterations, a checkpoint each."""
    path = tmp_path_factory.mktemp("state") / "run"
    settings = ("--space", "nasbench201", "--reward", "table:nasbench201", "--batch-size", 16, "--iterations", 2)
    config = path.with_name("settings.yaml")
    config.write_text("checkpoint_every: 1\n")
    assert run("train", "--config", config, *settings, "--out", path) == 0
    return path


def cut(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: min(int(share * len(content)), len(content) - 2)])


@pytest.mark.parametrize("length", [0, 3, 12, 20, 24])
def test_results_are_the_longer_ones_but_for_half_a_line(tmp_path, length):
    """Tune copies the whole file anew after each iteration: a kill may leave none of it."""
    whole = b'{"iteration": 1}\n{"iteration": 2}\n'
    results = tmp_path / "tune" / "trial" / "result.json"
    kept = tmp_path / "tune" / KEPT / "trial" / "result.json"
    for ours, theirs in ((whole, whole[:length]), (whole[:length], whole), (whole + b'{"it', whole[:length])):
        for file, content in ((kept, ours), (results, theirs)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        mend(tmp_path)
        assert (results.read_bytes(), kept.read_bytes()) == (whole, whole)


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_any_file_of_tunes_may_be_cut(finished, tmp_path, share):
    """What Tune has written is as it was; of a checkpoint that was cut, the one before is the newest."""
    files = [file for file in (finished / "tune").glob("*.*") if file.is_file() and file.stat().st_size]
    assert {file.name.partition("-20")[0] for file in files} >= {"experiment_state", "basic-variant-state", "tuner.pkl"}
    for name in (file.relative_to(finished) for file in files):
        twin = Path(shutil.copytree(finished, tmp_path / name.name))
        cut(twin / name, share)
        mend(twin)
        assert (twin / name).read_bytes() == (finished / name).read_bytes()
    twin = Path(shutil.copytree(finished, tmp_path / "results"))
    cut(results_file(twin), share)
    mend(twin)
    assert results_file(twin).read_bytes() == results_file(finished).read_bytes()
    newest = last_checkpoint(finished)
    for number, name in enumerate(file.relative_to(finished) for file in newest.rglob("*") if file.is_file()):
        twin = Path(shutil.copytree(finished, tmp_path / str(number)))
        if (twin / name).stat().st_size:
            cut(twin / name, share)
            mend_checkpoints(twin)
            assert last_checkpoint(twin).name == "checkpoint_000000", name


def test_checkpoints_that_are_later_than_the_state(finished, tmp_path):
    twin = Path(shutil.copytree(finished, tmp_path / "run"))
    for number in (1, 0):
        (twin / f"tune/trial/checkpoint_00000{number}").rename(twin / f"tune/trial/checkpoint_00000{number + 2}")
    mend_checkpoints(twin)
    assert sorted(path.name[-1] for path in (twin / "tune/trial").glob("checkpoint_*")) == ["1", "3"]


@pytest.mark.parametrize("checkpoints", [(), (1,), (0, 1)])
def test_a_run_goes_on_from_what_is_whole(finished, tmp_path, capsys, checkpoints):
    """A training of a second, which begins with what is left of one, or anew, and comes to the same."""
    twin = Path(shutil.copytree(finished, tmp_path / "twin"))
    shutil.rmtree(twin / "policy")
    for number in checkpoints:
        cut(twin / f"tune/trial/checkpoint_00000{number}" / "natrl_state.pt", 0.5)
    cut(next((twin / "tune").glob("experiment_state-*.json")), 0.5)
    output(capsys, "train", "--resume", twin)
    rewards = [[row["reward_mean"] for row in read_progress(path)] for path in (finished, twin)]
    assert len(rewards[0]) == 2
    assert rewards[0] == rewards[1]
    ours, theirs = (load_policy(path).network.state_dict() for path in (finished, twin))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
