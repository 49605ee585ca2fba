"""Seals: a list, written last, of what a folder held when it was whole."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from natrl.files.writing import write_json

__all__ = ["is_sealed", "seal"]

SEAL = "natrl_files.json"


def seal(folder: Path) -> None:
    """Writes down size and checksum of each file below the folder."""
    write_json(folder / SEAL, _contents(folder))


def is_sealed(folder: Path) -> bool:
    """Whether the folder holds all that it was sealed with; one that never was is not."""
    try:
        listed = json.loads((folder / SEAL).read_bytes())
    except (OSError, ValueError):
        return False
    there = _contents(folder)
    return isinstance(listed, dict) and all(there.get(name) == content for name, content in listed.items())


def _contents(folder: Path) -> dict[str, list[int]]:
    """By path below the folder: size in bytes and CRC-32."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file != folder / SEAL]
    return {
        file.relative_to(folder).as_posix(): [len(content), zlib.crc32(content)]
        for file in files
        for content in [file.read_bytes()]
    }
