"""docs/own-space.md: its code runs as it stands, and prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "own-space.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_the_page_runs_and_prints_what_it_says() -> None:
    """In a process of its own, since it registers a space: 0.5 s."""
    (code,), (expected,) = blocks("python"), blocks("text")
    done = subprocess.run([sys.executable, "-W", "error", "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_the_space_takes_about_thirty_lines() -> None:
    (code,) = blocks("python")
    space_itself = code.split("space = natrl.register_space")[0]
    assert len(space_itself.strip().splitlines()) <= 30
