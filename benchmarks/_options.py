"""Options of the benchmarks: each says what its values may be, and what is wrong is said in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from natrl.checks.annotations import alternatives, refusal
from natrl.commands.errors import in_one_line
from natrl.spaces.budget import limit_of

__all__ = ["Parser", "number", "numbers", "percentage", "run"]


class Parser(argparse.ArgumentParser):
    """Its description is shown as it is written; a wrong option is told in one line, with exit code 2."""

    def __init__(self, description: str | None) -> None:
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help has all options)\n")


def number(hint: Any) -> Callable[[str], Any]:
    """Reads a number as an annotation of settings has it, such as `natrl.checks.fields.Count`."""
    (kind,) = alternatives(hint)

    def read(text: str) -> Any:
        try:
            value: Any = kind(text)
        except ValueError:
            value = text
        if wanted := refusal(value, hint):
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r:.60}")
        return value

    return read


def numbers(hint: Any) -> Callable[[str], tuple[Any, ...]]:
    """Reads numbers with commas between them."""
    return lambda text: tuple(number(hint)(part) for part in text.split(",") if part)


def percentage(text: str) -> str:
    """A share of the original, "70%" or 0.7, as "70%"."""
    try:
        value = limit_of("share", text, 1.0) or 0.0
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share of the original such as 70%, got {text!r:.60}")
    return f"{100 * value:g}%"


def run(main: Callable[[], None]) -> NoReturn:
    """The script; errors that natrl raises for its users are one line here, too."""
    sys.exit(in_one_line(main, Path(sys.argv[0]).name))
