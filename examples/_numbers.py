"""Whole numbers on the command line: of another one argparse says in one line what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable

__all__ = ["at_least", "count", "seed"]


def count(text: str) -> int:
    """At least 1."""
    return at_least(1)(text)


def seed(text: str) -> int:
    """At least 0."""
    return at_least(0)(text)


def at_least(least: int) -> Callable[[str], int]:
    """Reads a whole number that is no smaller."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
        return int(text)

    return read
