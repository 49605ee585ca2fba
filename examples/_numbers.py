"""Whole numbers on the command line: of another one argparse says in one line what is wrong."""

from __future__ import annotations

import argparse

__all__ = ["count", "seed"]


def count(text: str) -> int:
    """At least 1."""
    return _at_least(1, text)


def seed(text: str) -> int:
    """At least 0."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least {least}, got {text!r}")
    return int(text)
