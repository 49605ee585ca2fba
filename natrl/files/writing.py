"""Writing so that a reader never meets half of a file or folder, and nothing that is there is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from natrl.files.locks import LOCK

__all__ = ["check_file", "check_new", "is_on_network", "new_folder", "replacing", "write_atomically", "write_json"]


def check_new(folder: Path, advice: str = "choose another folder") -> None:
    """ValueError, which ends with the advice, if there is something in the folder, or if it cannot be made."""
    if folder.exists() and (not folder.is_dir() or any(file.name != LOCK for file in folder.iterdir())):
        raise ValueError(f"{folder} exists and is not empty; {advice}")
    home = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        tempfile.TemporaryFile(dir=home).close()
    except OSError as error:
        raise ValueError(f"{home} takes no files ({error.strerror}); {advice}") from None


def check_file(file: Path, option: str, *, new: bool = False) -> None:
    """ValueError, which names the option, if no file can be written there, or (`new`) there is one already."""
    if new and file.is_file():
        raise ValueError(f"{option} {file} is there already: choose another, or delete it")
    if file.exists() and not file.is_file():
        raise ValueError(f"{option} {file} is no file: name one to be written")
    try:
        if not file.parent.is_dir():
            raise ValueError(f"{option} {file}: there is no folder {file.parent}")
        tempfile.TemporaryFile(dir=file.parent).close()
        file.is_file()
    except OSError as error:
        raise ValueError(f"{option}: {file} cannot be written ({error.strerror})") from None


#: Types of file systems that several machines share, besides all of FUSE.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "ceph", "gpfs", "beegfs", "glusterfs", "afs", "9p", "efs"}


def is_on_network(path: Path) -> bool:
    """Whether the path lies on a file system that other machines may use too; False where the system does not tell."""
    where, kind = "", ""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    for line in lines:
        _, folder, its_kind, *_ = line.split(" ")
        folder = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), folder)  # \040 is a blank
        if len(folder) >= len(where) and Path(os.path.realpath(path)).is_relative_to(folder):
            where, kind = folder, its_kind
    return kind in _NETWORK or kind.startswith("fuse")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside the file for the body to write to; it becomes the file when the body ends, or goes on an error."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield fresh
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> Path:
    """Writes UTF-8 text whole or not at all; returns the path."""
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, document: Any, **options: bool) -> Path:
    """Writes a JSON document whole or not at all; `options` of json.dumps; returns the path."""
    return write_atomically(path, json.dumps(document, indent=1, **options) + "\n")  # type: ignore[arg-type]


@contextmanager
def new_folder(folder: Path | str) -> Iterator[Path]:
    """A temporary folder beside the one wanted, which it becomes when the body ends; an error leaves nothing behind.

    ValueError if there is something in the folder, or a file in its place.
    """
    folder = Path(folder)
    check_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp opens it to its owner alone
        (folder / LOCK).unlink(missing_ok=True)  # of somebody who was killed before anything was written
        os.replace(fresh, folder)  # an empty folder gives way
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
