"""What was found wrong in the files of a snapshot.

Owns: collecting problems by file and line, a bound per file that never hides how many there were. Does not own:
any check.
"""

from __future__ import annotations

from collections import Counter

from harness.errors import Problem

KEPT = 20
"""Problems of one file that are listed one by one."""


class Report:
    """Collects the problems of one snapshot."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Problem]] = {}
        self._counts: Counter[str] = Counter()

    def add(self, file: str, line: int, what: str, hint: str = "") -> None:
        """Note a problem; line 0 stands for the file as a whole."""
        self._counts[file] += 1
        kept = self._kept.setdefault(file, [])
        if len(kept) < KEPT:
            kept.append(Problem(f"{file}:{line}" if line else file, what, hint))

    def __len__(self) -> int:
        return sum(self._counts.values())

    @property
    def problems(self) -> list[Problem]:
        """All that was kept, and for each file how many more there are."""
        found = []
        for file, kept in self._kept.items():
            found += kept
            if self._counts[file] > len(kept):
                found.append(Problem(file, f"{self._counts[file] - len(kept)} more problems in this file"))
        return found
