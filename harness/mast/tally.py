"""Counts over classified traces, in memory that does not grow with the archive: prevalence and agreement.

Owns: the counts, Wilson intervals, agreement with labels that came along. A mode's denominator is the traces of the
group in which it was decided; proposals have a column of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import NamedTuple

from harness.mast.taxonomy import any_present, crosswalk
from harness.records import Label, Present
from harness.statistics.frames import combine_sources

Z = 1.959963984540054


class Share(NamedTuple):
    """A proportion with its 95 % Wilson interval."""

    estimate: float
    low: float
    high: float
    n: int


def wilson(hits: int, n: int) -> Share | None:
    """Wilson's score interval; None without observations."""
    if n == 0:
        return None
    p, z2 = hits / n, Z * Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Share(p, max(0.0, middle - half), min(1.0, middle + half), n)


class Agreement(NamedTuple):
    """A fourfold table of published labels (rows of truth) against ours."""

    both: int
    ours_only: int
    theirs_only: int
    neither: int

    @property
    def n(self) -> int:
        """Traces that both sides decided."""
        return sum(self)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where chance leaves no room."""
        chance = self._chance()
        return None if self.n == 0 or chance == 1 else (self._observed() - chance) / (1 - chance)

    @property
    def ac1(self) -> float | None:
        """Gwet's AC1, which does not collapse for rare modes."""
        if self.n == 0:
            return None
        share = (2 * self.both + self.ours_only + self.theirs_only) / (2 * self.n)
        chance = 2 * share * (1 - share)
        return (self._observed() - chance) / (1 - chance)

    def _observed(self) -> float:
        return (self.both + self.neither) / self.n

    def _chance(self) -> float:
        if self.n == 0:
            return 1.0
        ours, theirs = (self.both + self.ours_only) / self.n, (self.both + self.theirs_only) / self.n
        return ours * theirs + (1 - ours) * (1 - theirs)


@dataclass
class Tally:
    """Counts so far."""

    traces: Counter[str] = field(default_factory=Counter)
    """By group."""
    decided: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (group, slug)."""
    present: Counter[tuple[str, str]] = field(default_factory=Counter)
    proposed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Present, but only proposed."""
    compared: Counter[tuple[str, str, Present, Present]] = field(default_factory=Counter)
    """By (release, code, theirs, ours)."""
    missing: Counter[str] = field(default_factory=Counter)
    """Modes for which the judge gave no usable answer."""

    def add(self, group: str, labels: Sequence[Label], missing: Sequence[str] = ()) -> None:
        """Count one classified trace."""
        self.traces[group] += 1
        found = combine_sources(labels)
        for slug, value in found.items():
            self.decided[group, slug] += 1
            self.present[group, slug] += int(value)
        for slug in {
            label.slug for label in labels if label.basis == "proposes" and label.present == "present"
        }:
            self.proposed[group, slug] += slug not in found
        self.missing.update(missing)

    def compare(self, release: str, published: Mapping[str, Present], labels: Sequence[Label]) -> None:
        """Compare with labels that came along, code by code; undecided on either side is left out."""
        ours = {slug: present(value) for slug, value in combine_sources(labels).items()}
        for code, theirs in published.items():
            mine = ours_for(release, code, ours)
            if theirs in ("present", "absent") and mine in ("present", "absent"):
                self.compared[release, code, theirs, mine] += 1

    def prevalence(self, group: str, slug: str) -> Share | None:
        """Share of the group's traces with the mode, among those where it was decided."""
        return wilson(self.present[group, slug], self.decided[group, slug])

    def agreement(self) -> dict[tuple[str, str], Agreement]:
        """By (release, code)."""
        pairs = sorted({key[:2] for key in self.compared})
        return {
            (release, code): Agreement(
                self.compared[release, code, "present", "present"],
                self.compared[release, code, "absent", "present"],
                self.compared[release, code, "present", "absent"],
                self.compared[release, code, "absent", "absent"],
            )
            for release, code in pairs
        }


def present(value: float) -> Present:
    """1 and 0 as words."""
    return "present" if value else "absent"


def ours_for(release: str, code: str, ours: Mapping[str, Present]) -> Present:
    """Our finding for a published code. Cannot tell where the crosswalk does not know the code, or maps it to
    something that only says that one of several is meant."""
    try:
        crossing = crosswalk(release, code)
    except ValueError:
        return "cannot_tell"
    if not crossing.any_of or (len(crossing.any_of) > 2 and not crossing.exact):
        return "cannot_tell"
    return any_present([ours.get(slug, "cannot_tell") for slug in crossing.any_of])
