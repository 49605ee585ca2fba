"""Files that are not what they were, or never were what they should be."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.fuzz.judging import Case
from tests.fuzz.workplace import ARCH, example_documents

__all__ = ["file_cases"]

TRANSFORM = ("transform", ARCH, "--policy", "run")
TRAIN = ("train", "--space", "nasbench201", "--reward", "table:table.csv", "--column", "valid", "--out", "new")
#: file → the part of natrl that reads it, commands that need it.
READERS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "arch.json": ("geno", (("show", "arch.json"), ("evaluate", "arch.json"))),
    "genotype.txt": ("geno", (("show", "genotype.txt"),)),
    "config.json": ("door", (("train", "--config", "config.json", "--out", "new"),)),
    "sweep.json": ("door", (("sweep", "sweep.json", "-o", "new"),)),
    "table.csv": ("door", (TRAIN,)),
    "run/config.json": (
        "fault",
        (
            ("train", "--resume", "run"),
            ("report", "run", "--compare", "2"),
            ("rank", "--proxy", "run", "--truth", "table:nasbench201"),
        ),
    ),
    "run/policy/policy.json": ("fault", (TRANSFORM,)),
    "run/policy/policy.safetensors": ("fault", (TRANSFORM,)),
    "run/tune/trial/result.json": ("fault", (("report", "run", "--compare", "0"),)),
    "run/evaluations.db": ("fault", (("evaluations", "run"),)),
}
ANYTHING: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(3000),
    "noise": random.Random(0).randbytes(3000),
    "not UTF-8": b'{"a": "\xff\xfe\xfa"}',
    "a list": b"[]",
    "a number": b"3",
    "null": b"null",
    "text": b'"x"',
    "true": b"true",
    "NaN": b"NaN",
    "digits": b"1" * 5000,
    "an empty object": b"{}",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep and closed": b"[" * 5000 + b"]" * 5000,
    "other keys": b'{"3": {"": [{}]}}',
    "a YAML tag": b"!!python/object/apply:os.system ['true']",
    "aliases of aliases": b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]\n",
    "keys twice": b'{"a": 1, "a": 2}',
    "HTML": b"<!DOCTYPE html><html><script>alert(1)</script></html>",
}
#: Empty results are no damage, and the beginning of a row without its end is what a kill may have left.
HARMLESS = {("run/tune/trial/result.json", kind) for kind in ("empty", "half", "missing", "not UTF-8", "deep objects")}
HARMLESS |= {("run/evaluations.db", "empty"), ("run/evaluations.db", "missing")}
VALUES = (None, [], {}, "x", -1, math.nan, math.inf, 10**30, True, [[[]]], {"a": 1}, 1.5)


def file_cases() -> Iterator[Case]:
    """Every file of natrl's with any content, in another kind of place, and with each of its values another one."""
    for file, (owner, commands) in READERS.items():
        for command in commands:
            for kind, damage in _damages().items():
                must = (file, kind) not in HARMLESS and not (command[0] == "report" and file == "run/config.json")
                yield Case(f"{' '.join(command)[:60]} with {file}: {kind}", owner, command, must, file, damage)
    for file, document in example_documents().items():
        owner, commands = READERS[file]
        for path in _paths(document):
            for value in VALUES:
                name = f"{' '.join(commands[0])[:60]} with {file}: {'.'.join(map(str, path))} = {value!r}"
                damage = partial(_write_changed, document, path, value)
                yield Case(name, owner, commands[0], False, file, damage)


def _damages() -> dict[str, Callable[[Path], None]]:
    found: dict[str, Callable[[Path], None]] = {
        kind: partial(Path.write_bytes, data=content) for kind, content in ANYTHING.items()
    }
    return found | {
        "half": _halve,
        "scribbled": _scribble,
        "a folder": partial(_replace, by=Path.mkdir),
        "a pipe": partial(_replace, by=os.mkfifo),
        "a link to itself": partial(_replace, by=lambda path: path.symlink_to(path.name)),
        "missing": Path.unlink,
    }


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _replace(path: Path, by: Callable[[Path], None]) -> None:
    path.unlink()
    by(path)


def _scribble(path: Path) -> None:
    content, noise = bytearray(path.read_bytes()), random.Random(1)
    for _ in range(len(content) // 4 + 20):
        content[noise.randrange(len(content))] = noise.randrange(256)
    path.write_bytes(content)


def _write_changed(document: Any, place: tuple[Any, ...], value: Any, path: Path) -> None:
    path.write_text(json.dumps(_changed(document, place, value)))


def _changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    first, *rest = place
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[first] = _changed(document[first], tuple(rest), value)
    return copy


def _paths(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values; of lists the first one alone."""
    yield above
    pairs = (
        document.items()
        if isinstance(document, dict)
        else list(enumerate(document))[:1]
        if isinstance(document, list)
        else ()
    )
    for name, value in pairs:
        yield from _paths(value, (*above, name))
