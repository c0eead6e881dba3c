"""How far two raters of the same items agree. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Agreement(NamedTuple):
    """Two yes-or-no raters on the same items."""

    both: int
    first_only: int
    second_only: int
    neither: int

    @property
    def items(self) -> int:
        """Items that both rated."""
        return sum(self)

    @property
    def raw(self) -> float | None:
        """Share of items with the same rating; None without items."""
        return (self.both + self.neither) / self.items if self.items else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where chance alone would make them agree, so that there is nothing to correct."""
        if not self.items:
            return None
        first, second = (
            (self.both + self.first_only) / self.items,
            (self.both + self.second_only) / self.items,
        )
        chance = first * second + (1 - first) * (1 - second)
        return None if chance == 1 else ((self.both + self.neither) / self.items - chance) / (1 - chance)


def agreement(pairs: Sequence[tuple[bool, bool]]) -> Agreement:
    """Count (first rater, second rater) pairs."""
    counts = dict.fromkeys(((True, True), (True, False), (False, True), (False, False)), 0)
    for pair in pairs:
        counts[pair] += 1
    return Agreement(*counts.values())
