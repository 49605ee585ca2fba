"""Errors as users meet them: one line on standard error, exit code 2; --debug shows what is behind it."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import typer

from natrl.checks.errors import DEBUG, debugging, for_users, one_line, whole_traceback

__all__ = ["Debug", "in_one_line", "run_safely", "show_tracebacks", "with_debug"]

INTERRUPTED, USAGE, FAULT = 130, 2, 1  # exit codes
Debug = Annotated[bool, typer.Option("--debug", help=f"Show the traceback behind an error (or set {DEBUG}=1).")]
UNFORESEEN = (
    "natrl did not foresee this error: unless the last lines above are of your own code, please report them together "
    "with what natrl doctor prints"
)


def with_debug(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option --debug: `natrl COMMAND --debug` is the same as `natrl --debug COMMAND`."""

    @wraps(command)
    def run(*, debug: bool = False, **options: Any) -> None:
        show_tracebacks(debug)
        command(**options)

    signature = inspect.signature(command, eval_str=True)
    switch = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in signature.parameters.values()]
    run.__signature__ = signature.replace(parameters=[*parameters, switch])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*parameters, switch)}
    return run


def show_tracebacks(value: bool) -> None:
    """Sets the environment variable, which Ray's workers inherit; False leaves it as it is."""
    if value:
        os.environ[DEBUG] = "1"


def run_safely(command: Any, arguments: Sequence[str] | None) -> int:
    """Runs a Typer command and returns its exit code; its errors as `in_one_line` has them."""

    def run() -> int | None:
        if "" in (sys.argv[1:] if arguments is None else arguments):
            raise ValueError("an argument is empty; was it a variable of the shell that is not set?")
        code: int | None = command.main(args=arguments, prog_name="natrl", standalone_mode=False)
        return code

    with _switch_of_this_command():
        return in_one_line(run, "natrl")


def in_one_line(run: Callable[[], int | None], program: str) -> int:
    """Runs what a program does, and returns its exit code.

    What natrl raises for its users (`natrl.checks.errors.for_users`) becomes one line and exit code 2. Everything else
    keeps its traceback, with a line that asks to report it, and gives exit code 1.
    """
    try:
        return run() or 0
    except typer.Exit as leave:
        return leave.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print(f"{program}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _explain(error, program)


def _explain(error: Exception, program: str) -> int:
    if hasattr(error, "format_message"):  # a usage error; newer Typers carry a Click of their own
        message, code = f"{error.format_message()} ({program} --help)", USAGE
    elif for_users(error):
        message, code = str(error), USAGE
    else:
        message, code = UNFORESEEN, FAULT
    if debugging() or code == FAULT:
        sys.stderr.write(whole_traceback(error))
    print(f"{program}: {one_line(message)}", file=sys.stderr)
    return code


@contextmanager
def _switch_of_this_command() -> Iterator[None]:
    """Leaves NATRL_DEBUG as it was before the command."""
    before = os.environ.get(DEBUG)
    try:
        yield
    finally:
        os.environ.pop(DEBUG, None)
        if before is not None:
            os.environ[DEBUG] = before
