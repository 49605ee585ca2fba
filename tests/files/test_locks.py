"""One natrl at a time in a directory, on any machine; a kill frees it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from natrl.files import locks
from natrl.files.locks import LOCK, locked
from natrl.files.writing import check_new, new_folder

HOLD = """
import sys
from pathlib import Path
from natrl.files.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_holds_it_until_that_is_killed(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    refusal = rf"^another natrl works in .* \(process {holder.pid} on \S+\): wait for it$"
    with pytest.raises(ValueError, match=refusal), locked(tmp_path):
        raise AssertionError
    holder.kill()
    holder.communicate()
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(ValueError, match="another natrl works in"), locked(tmp_path):
            raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_was_made_for_nothing_goes_again(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "a" / "run"):
        raise ZeroDivisionError
    assert not (tmp_path / "a" / "run").exists()
    with locked(tmp_path / "b"):
        (tmp_path / "b" / "file").touch()
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["file"]


def test_what_a_kill_leaves_of_a_lock_is_no_content(tmp_path):
    (tmp_path / LOCK).write_text("process 1 on nowhere")
    check_new(tmp_path)
    with new_folder(tmp_path) as fresh:
        (fresh / "file").touch()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    with pytest.raises(ValueError, match="exists and is not empty"):
        check_new(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_paid_for(tmp_path):
    (tmp_path / "file").touch()
    check_new(tmp_path / "a" / "b")
    for folder, reason in ((tmp_path / "file" / "below", "file takes no files"), (Path("/proc/new"), "/proc takes no")):
        with pytest.raises(ValueError, match=rf"{reason}.*; choose another folder"):
            check_new(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("code", "refused"), [(errno.ENOTSUP, False), (errno.ENOLCK, False), (errno.EIO, True)])
def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch, code, refused):
    def fail(descriptor, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(locks.fcntl, "flock", fail)
    if refused:
        with pytest.raises(OSError, match=os.strerror(code)), locked(tmp_path):
            raise AssertionError
    else:
        with locked(tmp_path):
            pass
