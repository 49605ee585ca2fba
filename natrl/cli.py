"""The command line. Each command lives in natrl/commands and loads torch and Ray only when it needs them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from natrl import __version__
from natrl.checks.errors import debugging
from natrl.commands.bench import bench
from natrl.commands.demo import demo
from natrl.commands.doctor import doctor
from natrl.commands.errors import Debug, run_safely, show_tracebacks, with_debug
from natrl.commands.evaluate import evaluate
from natrl.commands.evaluations import evaluations
from natrl.commands.front import front
from natrl.commands.optimize import optimize
from natrl.commands.rank import rank
from natrl.commands.report import report
from natrl.commands.settings_options import with_options
from natrl.commands.show import show
from natrl.commands.start import next_steps
from natrl.commands.sweep import sweep
from natrl.commands.train import train
from natrl.commands.transform import transform

__all__ = ["app", "main"]

app = typer.Typer(name="natrl", pretty_exceptions_enable=False, no_args_is_help=False)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Debug = False,
) -> None:
    """Takes a neural network architecture and gives back one that is more accurate and never more expensive."""
    show_tracebacks(debug)
    if version:
        print(__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())
        steps = next_steps(Path())
        width = max(len(command) for command, _ in steps)
        print("Next:", *(f"  {command:<{width}}  {what}" for command, what in steps), sep="\n")


for command in (
    demo,
    show,
    train,
    transform,
    front,
    optimize,
    evaluate,
    evaluations,
    bench,
    rank,
    sweep,
    report,
    doctor,
):
    app.command(no_args_is_help=False)(with_debug(with_options(command)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `natrl` and `python -m natrl`. Libraries' warnings are not for users: NATRL_DEBUG=1 shows them."""
    if not (sys.warnoptions or debugging()):
        warnings.simplefilter("ignore")
    sys.exit(run_safely(typer.main.get_command(app), arguments))
