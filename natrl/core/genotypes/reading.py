"""An architecture from what a user writes: a name, a file, or text in any notation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as short

from natrl.checks.arguments import checked
from natrl.core.architecture import Architecture, FORMAT
from natrl.core.genotypes.cells import from_key, is_key
from natrl.core.genotypes.definitions import Definition, definitions
from natrl.core.genotypes.nasbench201 import from_string
from natrl.core.genotypes.zoo import zoo

__all__ = ["is_file", "parse"]

_SHOWN = 300  # characters of a list of names


@checked
def parse(text: str | Path) -> Architecture:
    """An architecture from a zoo name ("DARTS"), a file, or text in one of the notations.

    Notations: our JSON, the text of `Architecture.key`; genotypes of DARTS (pairs) and NAT (triples) as Python code,
    logs and numpy print them; strings and structures of NAS-Bench-201 and NATS-Bench. Of a file that holds several,
    such as genotypes.py, "FILE:NAME" or "FILE:LINE" chooses one. ValueError says which slot is malformed and why, lists
    what there is to choose from where it is not said, and lists the zoo for an unknown name.
    """
    given = text = str(text).strip()
    for name, architecture in zoo().items():
        if name.lower() == text.lower():
            return architecture
    found = _architecture(text, "the text")
    if found is None and (file := _file(text)):
        path, chosen = file
        text = _read(path)
        found = _architecture(text, path, chosen)
    if found is None:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise ValueError(
            f"{shown!r} is no known architecture, file or notation; known: {', '.join(zoo())}; "
            "or Genotype(normal=...), a NAS-Bench-201 string, or a JSON file that natrl wrote"
            + (" (a network is module:function, without .py)" if ".py" in given else "")
        )
    return found


def is_file(text: str) -> bool:
    """Whether the text names a file, or an architecture in one (FILE:NAME)."""
    return _file(text) is not None


def _file(text: str) -> tuple[str, str] | None:
    """The file that is named, and the name or line that is chosen in it ("" if none is)."""
    if os.path.isfile(text):
        return text, ""
    path, colon, chosen = text.rpartition(":")
    return (path, chosen) if colon and chosen and os.path.isfile(path) else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path[-60:]!r} is not a readable text file: {error}") from None


def _architecture(text: str, where: str, chosen: str = "") -> Architecture | None:
    """The architecture that a text says, or None if it says none."""
    simple = _only(text)
    if simple is not None and chosen:
        raise ValueError(f"{where} holds one architecture, which has no name: leave ':{chosen}' out")
    if simple is not None:
        return simple
    found = definitions(text)
    if not found:
        return Architecture.from_json(text) if text.startswith("{") else None
    return _choose(found, where, chosen)


def _only(text: str) -> Architecture | None:
    """What is read as a whole: our JSON, our key, a string of NAS-Bench-201."""
    if text.startswith("{") and FORMAT in text:
        return Architecture.from_json(text)
    if text.startswith("|"):
        return from_string(text)
    return from_key(text) if is_key(text) else None


def _choose(found: Sequence[Definition], where: str, chosen: str) -> Architecture:
    """The one that is chosen, or the only one. ValueError lists them if that leaves several that differ."""
    wanted = [d for d in found if chosen in ("", d.name, str(d.line))]
    if not wanted:
        raise ValueError(f"{where} has no architecture {short(chosen)}; it has: {_names(found)}")
    if len(wanted) == 1:
        return wanted[0].read()
    try:
        different = {d.read() for d in wanted}
    except ValueError:
        different = set()
    if len(different) != 1:
        advice = "" if where == "the text" else f"; choose one, such as {where}:{_label(wanted[0], wanted)}"
        raise ValueError(f"{where} holds {len(wanted)} architectures: {_names(wanted)}{advice}")
    return different.pop()


def _label(one: Definition, among: Sequence[Definition]) -> str:
    """What chooses it: its name, or its line where others have its name or it has none."""
    alone = one.name is not None and sum(d.name == one.name for d in among) == 1
    return str(one.name) if alone else str(one.line)


def _names(found: Sequence[Definition]) -> str:
    """What chooses each; a line with the name that stands there, if any."""
    texts = []
    for definition in found:
        label = _label(definition, found)
        texts.append(label if label == definition.name else f"{label} ({definition.name or 'without a name'})")
    listed = ", ".join(texts)
    return listed if len(listed) <= _SHOWN else listed[:_SHOWN].rpartition(",")[0] + " …"
