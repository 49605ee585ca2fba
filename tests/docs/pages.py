"""What README and docs hold that a reader may run: code blocks, and commands in running text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Piece", "pieces"]

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

INLINE = "inline"
_PIECE = re.compile(
    r"^```(?P<language>\w*)\n(?P<block>.*?)^```$"
    r"|`(?P<command>(?:\w+=\w+ )?(?:natrl|python|make|pip|\.venv/bin/\w+) [^`]+)`",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Piece:
    """A code block, or a command in running text (language "inline")."""

    page: str
    line: int
    language: str
    text: str
    before: str  # the line of text before it

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pieces(page: Path) -> list[Piece]:
    """Of a page, in the order of reading."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _PIECE.finditer(text):
        above = text[: match.start()]
        before = above.rstrip().rpartition("\n")[2]
        language = INLINE if match["command"] else match["language"]
        content = match["command"] or match["block"]
        found.append(Piece(page.name, above.count("\n") + 1, language, content, before))
    return found
