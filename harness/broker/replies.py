"""The response cache: replies by content, so that the same request of the same repeat is paid for once, also across
interrupted runs and lost attempts.

Owns: one SQLite file, written by one process (the broker's), read by nobody else while it runs. Does not own: keys
(`meters`), or what a reply holds (`models/kept.py`). A cache that cannot be used is no reason to stop: calls are then
made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

FILE = "responses.sqlite"


class Replies:
    """Replies in a file; without one nothing is kept."""

    def __init__(self, path: Path | None, notice: Callable[[str], None]) -> None:
        self._path = path
        self._notice = notice
        self._database: sqlite3.Connection | None = None

    def get(self, key: str) -> bytes | None:
        """The kept reply, if there is one."""
        database = self._open() if key else None
        if database is None:
            return None
        try:
            found = database.execute(
                "SELECT reply FROM replies WHERE key = ?", (bytes.fromhex(key),)
            ).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return bytes(found[0]) if found else None

    def put(self, key: str, reply: bytes) -> None:
        """Keep a reply; an earlier one under the same key stays."""
        database = self._open() if key and reply else None
        if database is None:
            return
        try:
            with database:
                row = (bytes.fromhex(key), reply)
                database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", row)
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def _open(self) -> sqlite3.Connection | None:
        if self._database is None and self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._database = sqlite3.connect(self._path)
                # What a kill leaves is whole; only a power cut may take the last replies, which are then asked again.
                self._database.executescript(
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                    "CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply BLOB) WITHOUT ROWID"
                )
            except (OSError, sqlite3.Error) as error:
                self._give_up(error)
        return self._database

    def _give_up(self, error: Exception) -> None:
        self._notice(f"the response cache {self._path} is not used: {error}")
        self.close()
        self._path = None
