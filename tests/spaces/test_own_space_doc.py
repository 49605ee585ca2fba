"""docs/own-space.md and docs/own-network.md: their code runs as it stands, and prints what the pages say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["own-space.md", "own-network.md"])
def test_the_page_runs_and_prints_what_it_says(page: str) -> None:
    """In a process of its own, since it registers a space or loads torch: 0.5 s and 2 s."""
    (code,), (expected,) = blocks(page, "python"), blocks(page, "text")
    done = subprocess.run([sys.executable, "-W", "error", "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_the_space_takes_about_thirty_lines() -> None:
    (code,) = blocks("own-space.md", "python")
    space_itself = code.split("space = natrl.register_space")[0]
    assert len(space_itself.strip().splitlines()) <= 30
