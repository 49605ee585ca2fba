"""Errors as users meet them: one line on standard error, exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer

from natrl.evaluation import EvaluationError

__all__ = ["run_safely"]

INTERRUPTED = 130


def run_safely(command: Any, arguments: Sequence[str] | None) -> int:
    """Runs a Typer command and returns its exit code.

    What users can mend (ValueError, a missing file, no Ray, a failed run or evaluation) becomes one line and exit code
    2. Other exceptions are bugs and keep their traceback.
    """
    try:
        return command.main(args=arguments, prog_name="natrl", standalone_mode=False) or 0
    except typer.Exit as leave:
        return leave.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("natrl: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, ValueError | OSError):
            return _say(str(error))
        if hasattr(error, "format_message"):  # a usage error; newer Typers carry a Click of their own
            return _say(f"{error.format_message()} (natrl --help)")
        if isinstance(error, EvaluationError) or type(error).__name__ == "RunError":  # importing it would load Ray
            return _say(str(error))
        raise


def _say(message: str) -> int:
    print("natrl: " + " ".join(message.split()), file=sys.stderr)
    return 2
