"""What several pages do alike, done once in a session of tests."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.docs.smaller import SHARED

__all__ = ["once"]

_KEPT: dict[str, Path] = {}


def once(command: Sequence[str], run: Callable[[], int]) -> int:
    """The exit code of a command; where it was run before, what it wrote is copied to the current folder instead."""
    key, out = _without_out(command)
    written = next((names for pattern, names in SHARED.items() if re.search(pattern, key)), None)
    if written is None:
        return run()
    paths = [Path(name or out) for name in written]
    if key in _KEPT:
        for number, path in enumerate(paths):
            _copy(_KEPT[key] / str(number), path)
        return 0
    code = run()
    if code == 0:
        _KEPT[key] = Path(tempfile.mkdtemp(prefix="natrl-docs-"))
        for number, path in enumerate(paths):
            _copy(path, _KEPT[key] / str(number))
    return code


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _without_out(command: Sequence[str]) -> tuple[str, str]:
    """The command without its --out, and that."""
    rest, out = list(command), ""
    for option in ("-o", "--out"):
        if option in rest:
            place = rest.index(option)
            out = rest[place + 1]
            del rest[place : place + 2]
    return shlex.join(rest), out
