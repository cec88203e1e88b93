"""Events and what was made of them, in SQLite: on the disk together or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trainers.storage.files import whole

TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    user TEXT, at REAL, item TEXT, weight REAL, type TEXT, number INTEGER,
    PRIMARY KEY (user, at, item, weight, type, number)
) WITHOUT ROWID;
CREATE TABLE states (user TEXT PRIMARY KEY, state BLOB NOT NULL);
"""


class Event(NamedTuple):
    """An event of a user; two that agree in everything are one.

    Attributes:
        at: unix seconds.
        number: tells apart events of a log that agree in all else; 0 for the first.
    """

    user: str
    at: float
    item: str
    weight: float
    type: str
    number: int = 0


class Journal:
    """One SQLite file on a local disk. Several processes may use it; a thread opens its own."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer
        self._db.execute("PRAGMA synchronous = FULL")  # what is committed outlives the machine's fall too

    @classmethod
    def create(cls, file: Path, about: dict[str, str]) -> None:
        """An empty one, whole or not at all."""
        with whole(file) as partial, contextlib.closing(sqlite3.connect(partial)) as db:
            db.executescript(TABLES)
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            db.commit()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or, where it raises or the process dies, nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, event: Event) -> bool:
        """Write an event; False where it stands there already."""
        return self._db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)", event).rowcount > 0

    def add_all(self, events: list[Event]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)", events)

    def events(self, user: str, before: float) -> Iterator[Event]:
        """A user's events strictly before a time, oldest first."""
        rows = self._db.execute("SELECT * FROM events WHERE user = ? AND at < ? ORDER BY at", (user, before))
        return (Event(*row) for row in rows)

    def items(self, user: str, before: float) -> list[str]:
        """The items that a user had."""
        found = self._db.execute("SELECT DISTINCT item FROM events WHERE user = ? AND at < ?", (user, before))
        return [item for (item,) in found]

    def count(self, user: str, before: float) -> int:
        """How many events a user has before a time."""
        found = self._db.execute("SELECT COUNT(*) FROM events WHERE user = ? AND at < ?", (user, before))
        return int(found.fetchone()[0])

    def state(self, user: str) -> bytes | None:
        found = self._db.execute("SELECT state FROM states WHERE user = ?", (user,)).fetchone()
        return found[0] if found else None

    def keep(self, user: str, state: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO states VALUES (?, ?)", (user, state))

    def users(self) -> set[str]:
        """Whose state is kept."""
        return {user for (user,) in self._db.execute("SELECT user FROM states")}

    def said(self, name: str) -> str | None:
        found = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None

    def say(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    def close(self) -> None:
        self._db.close()
