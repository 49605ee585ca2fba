"""All malformed inputs."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.calls import call_cases
from tests.fuzz.commands import command_cases
from tests.fuzz.files import file_cases
from tests.fuzz.judging import Case

__all__ = ["all_cases"]


def all_cases() -> Iterator[Case]:
    """Several hundred."""
    yield from command_cases()
    yield from file_cases()
    yield from call_cases()
