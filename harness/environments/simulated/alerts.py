"""When the expressions of alert rules hold, exactly, from intervals.

Owns: conditions, pending and firing. Does not own: the rules (`harness/environments/rules.py`), the signals
(`recorder.py`) or noise (`noise.py`). Nothing is sampled: a condition is a list of intervals in which its expression,
window included, holds; an alert is pending from the start of one and fires when it has lasted `for_s`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """An interval of time; `end` is infinite while it lasts."""

    begin: float
    end: float


class Condition:
    """When one rule's expression held for one affected thing."""

    __slots__ = ("_fall", "_open", "spans")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        """Windows are included already."""
        self._open = False
        self._fall = 0.0

    def __reduce__(self) -> tuple[object, ...]:
        return (_restored, (self.spans, self._open, self._fall))

    @property
    def is_open(self) -> bool:
        """Whether the comparison is true now."""
        return self._open

    def start(self, now: float, rise: float, fall: float) -> None:
        """The comparison became true."""
        if not self._open:
            self._open, self._fall = True, fall
            self.spans.append(Span(now + rise, math.inf))

    def stop(self, now: float) -> None:
        """The comparison became false. A span that its window never let begin is dropped."""
        if self._open:
            self._open = False
            last = self.spans.pop()
            if now >= last.begin and now + self._fall > last.begin:
                self.spans.append(Span(last.begin, now + self._fall))

    def foresee(self, now: float, begin: float | None, end: float = math.inf) -> None:
        """Replace what was foreseen for after `now`: it holds from `begin` (None: not at all) to `end`."""
        self.spans = [Span(s.begin, min(s.end, now)) for s in self.spans if s.begin < now]
        if begin is None:
            return
        if self.spans and self.spans[-1].end >= begin:
            begin = self.spans.pop().begin
        self.spans.append(Span(begin, end))


def _restored(spans: list[Span], is_open: bool, fall: float) -> Condition:
    condition = Condition()
    condition.spans, condition._open, condition._fall = spans, is_open, fall
    return condition


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, overlapping and touching ones joined."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.begin <= joined[-1].end:
            if span.end > joined[-1].end:
                joined[-1] = Span(joined[-1].begin, span.end)
        else:
            joined.append(span)
    return joined


def active_since(spans: Sequence[Span], now: float) -> float | None:
    """Since when the expression holds without a gap; None when it does not hold now."""
    if len(spans) == 1:
        return spans[0].begin if spans[0].begin <= now < spans[0].end else None
    for span in reversed(merged(spans)):
        if span.begin <= now < span.end:
            return span.begin
    return None
