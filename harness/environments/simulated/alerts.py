"""The alert engine: rules as data, and when their expressions hold, exactly, from intervals.

Owns: `alert_rules.yaml`, windows, hold times, pending and firing. Does not own: the signals (`recorder.py`) or
noise (`noise.py`). Nothing is sampled: a condition is a list of intervals in which its expression, window
included, holds; an alert is pending from the start of one and fires when it has lasted `for_s`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from harness.telemetry import Severity
from scenarios.applications.schema import Application

QUANTILE_SHARE = 0.05
"""Share of slow requests at which the 95th percentile is slow."""
Labels = tuple[tuple[str, str], ...]
"""What identifies the affected thing, e.g. (("service_name", "ad"),)."""


class Rule(BaseModel):
    """One alert rule; see the head of alert_rules.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert: str
    group: str = ""
    severity: Severity
    source: Literal["spans", "mesh", "cluster"] = "cluster"
    """Whose metrics it reads: the application's spans, or those of its service mesh, or the cluster's."""
    signal: str
    services: str = ""
    not_services: str = ""
    above: float | None = None
    equal: float | None = None
    over: Literal["any", "all", "quantile", "instant"]
    window_s: float = 0
    for_s: float
    description: str = ""

    def watches(self, application: Application) -> bool:
        """Whether the metrics that it reads exist for an application."""
        return self.source in ("cluster", "mesh" if application.ambient_mesh else "spans")

    def concerns(self, service: str) -> bool:
        """Whether the rule watches a service."""
        if self.services and not re.fullmatch(self.services, service):
            return False
        return not (self.not_services and re.fullmatch(self.not_services, service))

    def holds(self, value: float) -> bool:
        """Whether the comparison is true, ignoring windows. Rates below one in 1000 s count as zero."""
        if self.above is not None:
            return value > max(self.above, 1e-3)
        return abs(value - (self.equal or 0)) < 1e-3

    def delays(self, share: float) -> tuple[float, float]:
        """Seconds by which the window makes the condition (start, end) late; `share`: affected requests."""
        if self.over == "any":
            return 0.0, self.window_s
        if self.over == "all":
            return self.window_s, 0.0
        if self.over == "quantile":
            rise = min(self.window_s, self.window_s * QUANTILE_SHARE / max(share, QUANTILE_SHARE))
            return rise, self.window_s - rise
        return 0.0, 0.0


@lru_cache(maxsize=1)
def load_rules() -> tuple[Rule, ...]:
    """The rules that come with the harness."""
    text = (Path(__file__).parent / "alert_rules.yaml").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[Rule]).validate_python(yaml.safe_load(text)))


@lru_cache(maxsize=4096)
def rule_concerns(index: int, service: str) -> bool:
    """`Rule.concerns` for a rule by its number."""
    return load_rules()[index].concerns(service)


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
