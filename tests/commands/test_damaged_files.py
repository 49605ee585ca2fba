"""Files of ours that are not what they were: each command that reads one refuses it with one line, or reads it.

Every kind of file is spoilt in ways that it shares with all of its kind (FILES × SPOILT × COMMANDS), and documents by
hypothesis, one value at a time.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from natrl.checks.errors import for_users, LONGEST
from natrl.evaluation.ledger.file import Ledger, Paid, read_ledger, settings_text
from natrl.files import locks
from natrl.policies import load_policy
from natrl.report.network import write_network_report
from natrl.report.results import write_results
from natrl.report.run import read_run
from natrl.report.scores import write_candidates
from natrl.runs.directory import create_run, read_config
from natrl.runs.metrics import read_progress
from natrl.tuning.documents import complete
from natrl.tuning.optimize.journal import begun_document, found_before
from natrl.tuning.restore import restored_evaluator
from natrl.tuning.run import resume
from natrl.tuning.sweep.plan import read_plan
from natrl.tuning.sweep.run import resume_sweep
from tests.commands.cli import run as command
from tests.policies.observations import policy
from tests.report.examples import NASBENCH, small_candidates, tiny_results
from tests.report.test_network import ASKED, FOUND

CHECKPOINT = "tune/trial/checkpoint_000000/natrl_state.pt"
PLAN = {
    "plan": {"parameters": {"learn.entropy": {"uniform": [0.01, 0.1]}}, "settings": {"head": "joint"}},
    "command": "natrl sweep",
    "versions": {},
}


class Started(BaseException):
    """A training would begin here: nothing was refused."""


@pytest.fixture(autouse=True)
def never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*arguments: Any, **options: Any) -> None:
        raise Started

    for name in ("run.locked", "run.check_settings", "sweep.run.locked", "sweep.run.check_all"):
        monkeypatch.setattr(f"natrl.tuning.{name}", start)
    monkeypatch.setattr("ray.tune.Tuner.can_restore", lambda path: True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a sweep and an optimization in one folder, as far as commands read them."""
    run = tmp_path_factory.mktemp("whole") / "run"
    chosen = complete({"evaluator": {"reward": "table:nasbench201", "space": "nasbench201"}})
    create_run(run, chosen, "natrl train", network=ASKED)
    policy("nasbench201", "joint").save(run / "policy")
    ledger = Ledger(run / "evaluations.db")
    ledger.put(settings_text({"kind": "table", "data": "x", "metric": "accuracy"}), [Paid(NASBENCH.key, 0.5, 1.0)])
    ledger.close()
    write_results(tiny_results(), run / "results.json")
    write_candidates(small_candidates(), run / "candidates.json")
    (run / CHECKPOINT).parent.mkdir(parents=True)
    state = dict.fromkeys(("environment", "random", "numpy", "torch"), "") | {"evaluator": {}}
    torch.save(state, run / CHECKPOINT)
    lines = [{"training_iteration": i, "reward_mean": 0.1 * i} for i in (1, 2)]
    (run / "tune/trial/result.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "sweep.json").write_text(json.dumps(PLAN))
    (run / "report.json").write_text(json.dumps(FOUND))
    (run / "space.yaml").write_text("parameters: {learn.entropy: {uniform: [0.01, 0.1]}}\nsettings: {head: joint}\n")
    (run / "architecture.json").write_text(NASBENCH.to_json())
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


#: By file: the commands that read it, RUN for the folder.
COMMANDS: dict[str, list[list[Any]]] = {
    "config.json": [
        ["train", "--resume", "RUN"],
        ["train", "--config", "RUN/config.json", "-o", "RUN/new"],
        ["rank", "--proxy", "RUN", "--truth", "table:nasbench201", "-n", 20],
        ["transform", "RUN/architecture.json", "--policy", "RUN", "--evaluator", "run"],
    ],
    "policy/policy.json": [["transform", "RUN/architecture.json", "--policy", "RUN"]],
    "policy/policy.safetensors": [["transform", "RUN/architecture.json", "--policy", "RUN"]],
    "evaluations.db": [["evaluations", "RUN"]],
    "sweep.json": [["sweep", "--resume", "RUN"], ["evaluations", "RUN"]],
    "space.yaml": [
        ["sweep", "RUN/space.yaml", "-o", "RUN/new"],
        ["train", "--config", "RUN/space.yaml", "-o", "RUN/n"],
    ],
    "architecture.json": [["show", "RUN/architecture.json"], ["transform", "RUN/architecture.json", "--policy", "RUN"]],
}
#: Read by functions below, where a command would draw a page first.
READERS: dict[str, Callable[[Path], object]] = {
    "config.json": lambda run: found_before(run, begun_document(run, read_config(run)["network"])),
    "results.json": read_run,
    "candidates.json": read_run,
    "tune/trial/result.json": read_progress,
    CHECKPOINT: restored_evaluator,
    "policy/policy.json": load_policy,
    "sweep.json": resume_sweep,
    "report.json": write_network_report,
    "evaluations.db": lambda run: read_ledger(run / "evaluations.db"),
}
BYTES = {
    "empty": b"",
    "null": b"null",
    "a number": b"3",
    "text": b'"text"',
    "a list": b"[1, 2]",
    "nothing in it": b"{}",
    "cut": b'{"settings": {"seed"',
    "no UTF-8": b"\xff\xfe\x00\x01" * 40,
    "zeros": b"\0" * 5000,
    "100,000 lists": b"[" * 100_000,
    "100,000 groups": b'{"a":' * 100_000,
    "no group": b'{"settings": null, "plan": [], "found": 3, "format": {}, "versions": [1]}',
    "30 digits": b'{"settings": {"seed": ' + b"9" * 30 + b'}, "seed": ' + b"9" * 30 + b"}",
    "5,000 digits": b'{"settings": {"seed": ' + b"9" * 5000 + b"}}",
    "names that are no text": b"{1: 2, [3]: 4, null: 5}",
    "twice": b'{"settings": {}, "settings": {}}',
    "a NUL": b'{"settings": {"head": "\\u0000"}, "space": "\\ud800"}',
}


def pipe(file: Path) -> None:
    os.mkfifo(file)


KINDS: dict[str, Callable[[Path], object]] = {
    "a pipe": pipe,
    "a folder": Path.mkdir,
    "a device": lambda file: file.symlink_to("/dev/zero"),
    "a link to nothing": lambda file: file.symlink_to("nowhere"),
    "nothing": lambda file: None,
}


def spoil(file: Path, how: str) -> None:
    old = file.read_bytes()
    file.unlink()
    if how in BYTES:
        file.write_bytes(BYTES[how])
    elif how == "half of it":
        file.write_bytes(old[: len(old) // 2])
    else:
        KINDS[how](file)


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_refuse_with_one_line(
    ray_session: None, run: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """All ways of spoiling in one test: making the folder costs more than most of them."""
    for how in (*BYTES, "half of it", *KINDS):
        keep = (run / name).read_bytes()
        spoil(run / name, how)
        for arguments in COMMANDS[name]:
            words = [str(a).replace("RUN", str(run)) for a in arguments]
            what = f"{name}, {how}: natrl {' '.join(words)}"
            try:
                code = command(*words)
            except Started:
                code = 0
            said = capfd.readouterr().err
            assert code in (0, 2), f"{what}\n{said}"
            if code:
                assert said.startswith("natrl: "), what
                assert said.count("\n") == 1, what
                assert len(said) < LONGEST + 20, what
            else:
                assert "Traceback" not in said, what
        (run / name).unlink(missing_ok=True) if not (run / name).is_dir() else (run / name).rmdir()
        (run / name).write_bytes(keep)


@pytest.mark.parametrize("name", READERS)
def test_readers_refuse_what_is_damaged(run: Path, name: str) -> None:
    for how in (*BYTES, "half of it", *KINDS):
        keep = (run / name).read_bytes()
        spoil(run / name, how)
        refused(lambda: READERS[name](run), f"{name}, {how}")
        (run / name).unlink(missing_ok=True) if not (run / name).is_dir() else (run / name).rmdir()
        (run / name).write_bytes(keep)


def refused(read: Callable[[], object], what: str) -> bool:
    """Whether it was, by an error for users; it may also be read."""
    reason: Exception | None = None
    try:
        read()
    except Started:
        pass
    except Exception as error:
        reason = error
    assert reason is None or for_users(reason), f"{what}: {reason!r}"
    return reason is not None


# One value of a document at a time

NASTY = (
    st.sampled_from([None, True, -1, 0, 2**63, 10**30, float("nan"), float("inf"), 1e308, "", "x", "\0", "\ud800", "/"])
    | st.sampled_from([[], {}, [[]], {"": 0}, [None], ["a", "a"], {"a": {"a": {}}}, "é" * 1000])
    | st.builds(lambda n: json.loads("[" * n + "]" * n), st.sampled_from([2, 70, 500]))
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.fixture(scope="module")
def spare(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(whole, tmp_path_factory.mktemp("spare") / "run"))


@pytest.mark.parametrize("name", [n for n in READERS if n.endswith(".json")])
def test_a_value_that_is_another(spare: Path, name: str) -> None:
    file = spare / name
    lines = file.read_text().splitlines() if name.endswith("result.json") else [file.read_text()]
    document = json.loads(lines[0])

    @settings(max_examples=15 if name == "report.json" else 100)  # it is drawn
    @given(st.sampled_from(places(document)), NASTY)
    def check(path: tuple[Any, ...], value: Any) -> None:
        changed = json.dumps(with_value(document, path, value))
        file.write_text("\n".join([changed, *lines[1:]]))
        refused(lambda: READERS[name](spare), f"{name}: {path} is {value!r:.60}")

    try:
        check()
    finally:
        file.write_text("\n".join(lines))


@given(st.data())
def test_a_row_of_the_ledger_that_is_another(whole: Path, tmp_path_factory: Any, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("ledger") / "evaluations.db"
    shutil.copy(whole / "evaluations.db", file)
    column = data.draw(st.sampled_from(["architecture", "score", "seconds", "at", "paid", "document"]))
    value = data.draw(st.sampled_from([b"\xff", "text", "", 7, 0.5, "[1]", '{"at": 1, "kind": [{}]}', "[" * 100_000]))
    table = "settings" if column == "document" else "evaluations"
    with sqlite3.connect(file) as db:
        db.execute(f"UPDATE {table} SET {column} = ?", (value,))
    db.close()
    refused(lambda: read_ledger(file).sort_values("score"), f"{column} is {value!r:.60}")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(run: Path, value: float) -> None:
    file = run / "policy" / "policy.safetensors"
    tensors = load_file(file)
    name = next(n for n, t in tensors.items() if t.dtype == np.float32)
    tensors[name].flat[0] = value
    save_file(tensors, file)
    with pytest.raises(ValueError, match=rf"policy\.safetensors is damaged: {name} holds numbers that are not finite"):
        load_policy(run)


@pytest.mark.parametrize("entry", ["width", "layers"])
def test_absurd_sizes_are_refused_before_a_network_is_built(run: Path, entry: str) -> None:
    file = run / "policy" / "policy.json"
    document = json.loads(file.read_text())
    document["config"][entry] = 10**9
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=rf"policy: {entry} must be a whole number from 1 to \d+, got 1000000000"):
        load_policy(run)


def test_a_policy_needs_no_training_state(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "tune")
    (run / "config.json").write_bytes(b"\xff")
    assert command("transform", run / "architecture.json", "--policy", run) == 0


def test_what_is_whole_is_read(run: Path) -> None:
    """The files above are refused for what was done to them."""
    for name, read in READERS.items():
        assert name == CHECKPOINT or not refused(lambda read=read: read(run), name), name
    assert read_plan(run / "space.yaml").trials == 16
    with pytest.raises(Started):
        resume(run)


def test_two_resumes_of_one_run(ray_session: None, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("natrl.tuning.run.locked", locks.locked)
    with (
        locks.locked(run),
        pytest.raises(ValueError, match=rf"another natrl works in {run} \(process {os.getpid()} on"),
    ):
        resume(run)
