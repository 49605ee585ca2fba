"""One natrl at a time works in a directory. The system frees the lock, however its holder ends."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there is no lock
    fcntl = None  # type: ignore[assignment]

__all__ = ["LOCK", "locked"]

LOCK = ".natrl.lock"  # holds the process and the machine that it runs on
_BUSY = {errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK}
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}  # a file system without any


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the directory for the body; it is made if need be, and goes again if the body left it empty.

    ValueError, which names the holder, where another natrl works in it, on another machine of a shared file system too.
    """
    made = not directory.exists()
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(directory / LOCK)
    try:
        yield
    finally:
        (directory / LOCK).unlink(missing_ok=True)
        os.close(descriptor)
        if made:
            with suppress(OSError):  # there is something in it
                directory.rmdir()


def _acquire(file: Path) -> int:
    """A descriptor that holds the lock as long as it is open."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except OSError as error:
            with os.fdopen(descriptor, errors="replace") as held:
                holder = held.read(100).strip() if error.errno in _BUSY else ""
            if error.errno not in _BUSY:
                raise
            raise ValueError(
                f"another natrl works in {file.parent} ({holder or 'it has just begun'}): wait for it"
            ) from None
        if _is(file, descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            return descriptor
        os.close(descriptor)  # its last holder took the file away in between


def _lock(descriptor: int) -> None:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
