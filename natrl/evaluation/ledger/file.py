"""The ledger of paid evaluations: scores that were trained or looked up once are never paid for again.

One SQLite file. A score is stored under the evaluator's settings (all that it depends on: images, network, schedule,
seed, metric, precision, versions, …) and the architecture's key. A kill at any moment, in the middle of a write too,
leaves every finished write readable: by write-ahead logging (0.1 ms a write), which needs memory that the file's users
share, or on a network file system by a rollback journal (some 30 ms; https://sqlite.org/wal.html). Where Ray runs, an
actor alone opens the file (natrl.evaluation.ledger.shared).
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple, TYPE_CHECKING

from natrl.checks.arguments import checked
from natrl.digests import digest

if TYPE_CHECKING:
    import pandas as pd

from natrl.documents import parse_json, shown
from natrl.files.paths import absolute
from natrl.files.writing import is_on_network

__all__ = ["Ledger", "LedgerError", "Paid", "copy_ledger", "read_ledger", "settings_text"]

VERSION = 1  # of the tables, kept as SQLite's user_version
LEASE_S = 30.0  # a claim that is not renewed for so long belongs to somebody who died
MOST_KEYS = 500  # in one query; SQLite's oldest limit is 999

_TABLES = """
CREATE TABLE settings (id INTEGER PRIMARY KEY, document TEXT NOT NULL UNIQUE);
CREATE TABLE evaluations (
    settings INTEGER NOT NULL REFERENCES settings,
    architecture TEXT NOT NULL,  -- its canonical key
    score REAL NOT NULL,         -- of the first payment
    seconds REAL NOT NULL,       -- that it took
    at TEXT NOT NULL,            -- UTC
    paid INTEGER NOT NULL,       -- how often; more than 1 says that somebody computed it again
    payment TEXT NOT NULL,       -- tells a write repeated by Ray from a second payment
    PRIMARY KEY (settings, architecture)
) WITHOUT ROWID;
"""

_PUT = """
INSERT INTO evaluations VALUES (?, ?, ?, ?, ?, 1, ?)
ON CONFLICT DO UPDATE SET paid = paid + 1, payment = excluded.payment WHERE payment <> excluded.payment
"""


class LedgerError(OSError):
    """The ledger cannot be read or written; the message says why, in one line."""


class Paid(NamedTuple):
    """One evaluation."""

    architecture: str  # canonical key
    score: float
    seconds: float


def settings_text(settings: dict[str, Any]) -> str:
    """Settings as one line of JSON, the same for equal settings.

    What JSON has no form for (functions, arrays, networks) is known by its digest (natrl.digests). ValueError in one
    line where something can be described by neither, and on settings that are not names and values.
    """
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        got = f"they are a dict of names and values, or None, got {shown(settings)}"
        raise ValueError(f"settings of an evaluator cannot name its scores in a ledger: {got}")
    try:
        return json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False, default=digest)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"settings of an evaluator cannot name its scores in a ledger: {error}") from None


class Ledger:
    """The ledger's file, opened by this process; it is made if need be.

    Claims keep two trials from paying for the same evaluation at the same time: who claims what is not known evaluates
    it, others wait until it is there. They live in memory and end after LEASE_S seconds without renewal. ValueError if
    the file is no ledger or one of another version, LedgerError if it cannot be read or written (a full disk).
    """

    def __init__(self, path: Path | str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = Path(path)
        self._clock = clock
        self._claims: dict[tuple[str, str], tuple[str, float]] = {}  # (settings, key) → owner, when last renewed
        self._ids: dict[str, int] = {}
        _check_kind(self.path)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, timeout=60)
            _check(self._db, self.path)
            for name, value in _journal(self.path).items():
                self._db.execute(f"PRAGMA {name} = {value}")
            if not self._db.execute("PRAGMA user_version").fetchone()[0]:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        except sqlite3.Error as error:
            raise _translated(error, self.path) from None

    def claim(self, settings: str, keys: Sequence[str], owner: str) -> tuple[dict[str, float], list[str]]:
        """The scores that are known, and the keys that `owner` is to evaluate now; somebody evaluates the others."""
        known = self.known(settings, keys)
        now = self._clock()
        mine = []
        for key in keys:
            holder, since = self._claims.get((settings, key), (owner, now))
            if key not in known and (holder == owner or now - since > LEASE_S):
                self._claims[settings, key] = (owner, now)
                mine.append(key)
        return known, mine

    def renew(self, settings: str, keys: Iterable[str], owner: str) -> None:
        """Says that `owner` still evaluates these. (It also restores claims that a restarted ledger forgot.)"""
        now = self._clock()
        for key in keys:
            if self._claims.setdefault((settings, key), (owner, now))[0] == owner:
                self._claims[settings, key] = (owner, now)

    def release(self, settings: str, keys: Iterable[str], owner: str) -> None:
        """Gives back claims: these were evaluated, or failed."""
        for key in keys:
            if self._claims.get((settings, key), ("", 0.0))[0] == owner:
                del self._claims[settings, key]

    def known(self, settings: str, keys: Sequence[str]) -> dict[str, float]:
        """The scores of those that were paid for."""
        found: dict[str, float] = {}
        try:
            for start in range(0, len(keys), MOST_KEYS):
                part = keys[start : start + MOST_KEYS]
                marks = ", ".join("?" * len(part))
                found.update(
                    self._db.execute(
                        "SELECT architecture, score FROM evaluations JOIN settings ON id = settings "
                        f"WHERE document = ? AND architecture IN ({marks})",
                        (settings, *part),
                    )
                )
        except sqlite3.Error as error:
            raise _translated(error, self.path) from None
        for key, score in found.items():
            if not isinstance(score, float):
                raise LedgerError(f"ledger {self.path}: the score of {key!r:.100} is no number: {score!r:.60}")
        return found

    def put(self, settings: str, evaluations: Sequence[Paid], payment: str | None = None) -> None:
        """Stores evaluations, all or none; when it returns they survive any kill. The first score of a key stays.

        `payment` names this call: a repetition with the same name changes nothing.
        """
        payment = payment or uuid.uuid4().hex
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                number = self._number(settings)
                rows = [(number, key, float(score), seconds, at, payment) for key, score, seconds in evaluations]
                self._db.executemany(_PUT, rows)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._ids[settings] = number
        except sqlite3.Error as error:
            raise _translated(error, self.path) from None
        for key, *_ in evaluations:
            self._claims.pop((settings, key), None)

    def _number(self, settings: str) -> int:
        """The settings' id; within a transaction."""
        if settings not in self._ids:
            self._db.execute("INSERT OR IGNORE INTO settings (document) VALUES (?)", (settings,))
            return self._db.execute("SELECT id FROM settings WHERE document = ?", (settings,)).fetchone()[0]
        return self._ids[settings]

    def close(self) -> None:
        """Folds the log into the file and closes it."""
        self._db.close()


@checked
def read_ledger(path: Path | str) -> pd.DataFrame:
    """All evaluations in the order of time, while a run writes too.

    Columns: at, architecture, score, seconds, paid, and one for each field of the settings (kind, data, metric, …).
    ValueError if there is no ledger at the path, or one of another version.
    """
    import pandas as pd

    path = absolute(path)
    _check_kind(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file; a run writes it where its evaluations come from a table or training")
    query = "SELECT at, architecture, score, seconds, paid, document FROM evaluations JOIN settings ON id = settings"
    try:
        mode = "rw" if os.access(path, os.W_OK) else "ro"  # a killed writer's journal is rolled back, which is writing
        with closing(sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=60)) as db:
            _check(db, path)
            frame = pd.DataFrame(
                _check_rows(db.execute(f"{query} ORDER BY at, architecture").fetchall(), path),
                columns=["at", "architecture", "score", "seconds", "paid", "settings"],
            )
    except sqlite3.Error as error:
        raise _translated(error, path) from None
    documents = {text: _settings(text, path) for text in frame["settings"].unique()}
    fields = dict.fromkeys(name for document in documents.values() for name in document)
    for name in (name for name in fields if name not in frame):
        frame[name] = [_cell(documents[text].get(name)) for text in frame["settings"]]
    return frame.drop(columns="settings")


def copy_ledger(source: Path, target: Path) -> None:
    """A ledger's copy as it is now, while others write to it, too. LedgerError if it cannot be read."""
    try:
        with closing(sqlite3.connect(source, timeout=60)) as db, closing(sqlite3.connect(target)) as copy:
            db.backup(copy)
    except sqlite3.Error as error:
        raise _translated(error, source) from None


def _journal(path: Path) -> dict[str, str]:
    """SQLite's settings that keep the file whole where it lies."""
    if is_on_network(path):
        return {"journal_mode": "TRUNCATE", "synchronous": "FULL"}
    return {"journal_mode": "WAL", "synchronous": "NORMAL"}


def _check_rows(rows: list[tuple[Any, ...]], path: Path) -> list[tuple[Any, ...]]:
    """The rows. ValueError if SQLite, which lets any value into any column, holds another type there."""
    for row in rows:
        if not all(map(isinstance, row, (str, str, float, float, int, str))):
            raise ValueError(f"{path} holds a row that is no evaluation: {row!r:.100}")
    return rows


def _settings(text: str, path: Path) -> dict[str, Any]:
    document = parse_json(text, f"{path}: settings")
    if not isinstance(document, dict):
        raise ValueError(f"{path}: settings must be names and values, got {shown(document)}")
    return document


def _check_kind(path: Path) -> None:
    """ValueError if something else than a file is there: SQLite would wait for a pipe."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a ledger of evaluations: it is {'a folder' if path.is_dir() else 'no file'}")


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


def _check(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version != VERSION and (version or tables):
        raise ValueError(f"{path} is a ledger of version {version}; this natrl reads version {VERSION}")


def _translated(error: sqlite3.Error, path: Path) -> Exception:
    if str(error) == "file is not a database":
        return ValueError(f"{path} is not a ledger of evaluations: {error}")
    return LedgerError(f"ledger {path}: {error}")
