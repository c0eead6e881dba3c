"""Trials that cannot go on in this run: why, and whether any other still could.

Owns: counting them for both executors. They have no record and stay owed.
"""

from __future__ import annotations

import sys
from collections import Counter

import msgspec

from harness.interrupt import Stop


class LeftOwed(msgspec.Struct, frozen=True, array_like=True):
    """One such trial, on its way to the driver."""

    trial_id: str
    why: str
    everything: bool
    """No other trial could be worked on either."""


class PostponedTrials:
    """What was left owed. Asks to stop once nothing else could go on."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._counts: Counter[str] = Counter()

    def add(self, left: LeftOwed) -> None:
        """One more trial that stays owed."""
        self._counts[left.why] += 1
        if left.everything:
            self.stop.request()

    @property
    def reasons(self) -> list[str]:
        """Why, most frequent first."""
        return [why for why, _ in self._counts.most_common()]


def tell(notice: str) -> None:
    """Say something to whoever watches the run."""
    sys.stderr.write(f"{notice}\n")
