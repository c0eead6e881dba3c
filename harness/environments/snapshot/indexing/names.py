"""Names of services and pods as small numbers, so that a million rows do not repeat them."""

from __future__ import annotations

import sqlite3


class Names:
    """Hands out numbers and writes them to the index's table of names; 0 stands for no name."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._numbers: dict[str, int] = {"": 0}
        known = database.execute("SELECT id, name FROM names")
        self._numbers.update((name, number) for number, name in known)

    def __getitem__(self, name: str) -> int:
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._numbers)
            self._database.execute("INSERT INTO names VALUES (?, ?)", (number, name))
        return number
