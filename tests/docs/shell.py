"""bash that reads what a reader would paste, while the programs that it calls run in the process of the tests.

So quotes, comments, continued lines, `cd` and activation are the shell's own, and torch and Ray are imported once.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["Program", "run_script", "write_programs"]

#: Arguments → exit code; called in the folder that the shell is in.
Program = Callable[[list[str]], int]

_STAND_IN = """#!/bin/bash
printf '%s\\0' "${0##*/}" "$PWD" "$@" > "$CALLS/request"
read -r code < "$CALLS/answer"
exit "$code"
"""
_BEGIN = """trap 'printf "%s\\0" exit "$PWD" > "$CALLS/request"' EXIT
set -e
"""


def write_programs(names: Sequence[str], folder: Path) -> None:
    """A stand-in for each, which hands its arguments to `run_script` and ends with the exit code that comes back."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(_STAND_IN)
        (folder / name).chmod(0o755)


def run_script(
    script: str, folder: Path, programs: Mapping[str, Program], *, path: Sequence[Path], calls: Path
) -> None:
    """Runs the script in the folder up to the first command that fails; AssertionError, or what that one raised.

    `path`: what PATH begins with. `calls`: an empty folder for the pipes between the stand-ins and this process.
    """
    for pipe in ("request", "answer"):
        os.mkfifo(calls / pipe)
    environment = {**os.environ, "CALLS": str(calls), "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])}
    with subprocess.Popen(["bash", "-c", _BEGIN + script], cwd=folder, env=environment) as shell:
        failure = _serve(calls, programs)
    if failure is not None:
        raise failure
    assert shell.returncode == 0, f"bash ended with exit code {shell.returncode}"


def _serve(calls: Path, programs: Mapping[str, Program]) -> BaseException | None:
    """Answers calls until the shell ends; returns what the last one raised."""
    while True:
        name, folder, *arguments = (calls / "request").read_bytes().decode().split("\0")[:-1]
        if name == "exit":
            return None
        os.chdir(folder)
        failure, code = None, 1
        try:
            code = programs[name](arguments)
        except BaseException as error:
            failure = error
        (calls / "answer").write_text(f"{code}\n")
        if failure is not None:
            (calls / "request").read_bytes()  # the shell's end
            return failure
