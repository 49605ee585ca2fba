"""Running commands in this process."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from natrl.cli import app
from natrl.commands.errors import run_safely


def run(*arguments: Any) -> int:
    """Runs `natrl …` and returns its exit code."""
    return run_safely(typer.main.get_command(app), [str(a) for a in arguments])


def output(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    """What a command that must succeed prints on standard output."""
    code = run(*arguments)
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def error(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    """The one line of a command that must fail with exit code 2 and print nothing else."""
    code = run(*arguments)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.startswith("natrl: ")
    assert captured.err.count("\n") == 1
    return captured.err
