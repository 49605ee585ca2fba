"""Only what natrl raises for its users becomes one line; what a library or a mistake raises keeps its traceback."""

from __future__ import annotations

import errno
import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import natrl
import natrl.commands.show
from natrl.checks.errors import for_users, LONGEST, one_line, whole_traceback
from natrl.core.genotypes import nasbench201_architecture
from natrl.evaluation import EvaluationError
from natrl.evaluation.ledger.file import LedgerError
from natrl.tuning.run import RunError
from natrl.tuning.tasks import run_tasks
from tests.commands.cli import error, run


def raised(function, *arguments):
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever it is
        function(*arguments)
    return caught.value


def test_what_natrl_says_is_for_users():
    assert for_users(raised(natrl.parse, "NOPE"))
    assert for_users(raised(natrl.operation, "sep_conv_9x9"))
    assert for_users(raised(natrl.space, "drts"))


def test_what_libraries_say_is_not():
    assert not for_users(raised(json.loads, "{"))
    assert not for_users(raised(int, "x"))
    assert not for_users(raised(nasbench201_architecture, "x"))  # from natrl's own code, by no raise statement
    assert not for_users(ValueError("never raised"))
    assert not for_users(TypeError("of no class that natrl raises"))


def test_what_the_system_refuses_is_for_users(tmp_path):
    assert for_users(raised((tmp_path / "nowhere").read_text))
    assert for_users(raised(Path("/proc/natrl").mkdir))
    assert for_users(OSError(errno.ENOSPC, "No space left on device"))
    assert not for_users(OSError(errno.EBADF, "Bad file descriptor"))
    assert not for_users(raised((Path(natrl.__file__).parent / "nowhere").read_text))  # a file of natrl's is missing


def _number(text):
    return int(text)


def test_the_workers_traceback_decides(ray_session):
    def run_in_a_worker(function):
        run_tasks(function, [{"text": "x"}], what="a task")

    assert for_users(raised(run_in_a_worker, natrl.parse))
    found = raised(run_in_a_worker, _number)
    assert isinstance(found, ValueError)
    assert not for_users(found)
    assert "return int(text)" in whole_traceback(found)


def test_a_failed_run_tells_its_own_errors_from_those_for_users():
    def failed(left):
        raise RunError("training failed", left)

    parser = natrl.core.genotypes.__file__
    ours = f'  File "{parser}", line 1, in parse\n    raise ValueError(\nValueError: no such thing'
    assert not for_users(raised(failed, 'Traceback:\n  File "/x.py", line 1, in f\n    int("x")\nValueError: x'))
    assert for_users(raised(failed, ours))
    assert for_users(raised(failed, ours.replace(str(Path(natrl.__file__).parent), "/elsewhere/natrl")))
    assert not for_users(raised(failed, ours.replace(str(Path(natrl.__file__).parent), "/home/natrl/mine")))
    assert for_users(raised(failed, "The actor died unexpectedly"))  # Ray's news has no frames


def test_errors_of_natrls_classes_survive_pickling():
    for found in (RunError("it failed", "frames"), EvaluationError("none"), LedgerError("none")):
        assert str(pickle.loads(pickle.dumps(found))) == str(found)


@given(st.text(max_size=2000))
def test_every_message_is_one_printable_line(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= LONGEST


def test_the_end_of_a_long_message_stays():
    assert one_line("reason: " + 4000 * "x" + "; known: a, b").startswith("reason: xxx")
    assert one_line(4000 * "x" + "; known: a, b").endswith("; known: a, b")


@pytest.mark.parametrize("switch", [["--debug", "show", "NOPE"], ["show", "NOPE", "--debug"]])
def test_debug_shows_the_traceback_before_the_line(capsys, switch):
    assert run(*switch) == 2
    *before, last = capsys.readouterr().err.splitlines()
    assert before[0].startswith("Traceback")
    assert last.startswith("natrl: 'NOPE' is no known architecture")
    error(capsys, "show", "NOPE")  # the switch is of one command


def test_the_variable_does_the_same(capsys, monkeypatch):
    monkeypatch.setenv("NATRL_DEBUG", "1")
    assert run("show", "NOPE") == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_mistake_of_ours_keeps_its_traceback(capsys, monkeypatch):
    monkeypatch.setattr(natrl.commands.show, "parse", lambda text: int(text))
    assert run("show", "NOPE") == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "invalid literal for int()" in printed
    assert printed.splitlines()[-1].startswith("natrl: natrl did not foresee this error")
