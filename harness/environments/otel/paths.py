"""Calls added up to the call paths of one window, in memory.

Owns: counts, the percentile, which error is told. Does not own: which spans are read. A recording, of any length, is
added up on disk instead (`harness/environments/snapshot/indexing`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.environments.otel.spans import Call
from harness.telemetry import CallPath


@dataclass(slots=True)
class _Sums:
    count: float = 0.0
    errors: float = 0.0
    times: list[float] = field(default_factory=list)
    last_error: tuple[float, str] = (0.0, "")


def added_up(calls: Iterable[tuple[Call[str], float]], low: float, high: float) -> list[CallPath]:
    """The paths of calls that began in a window, outermost first. Each call stands for as many as its weight says."""
    sums: dict[tuple[tuple[str, ...], str], _Sums] = {}
    for call, weight in calls:
        if not low <= call.time <= high:
            continue
        row = sums.setdefault((call.path, call.operation), _Sums())
        row.count += weight
        row.times.append(call.ms)
        if call.failed:
            row.errors += weight
            row.last_error = max(row.last_error, (call.time, call.message))
    found = [
        CallPath(
            path, operation, round(row.count, 1), round(row.errors, 1), _p95(row.times), row.last_error[1]
        )
        for (path, operation), row in sums.items()
    ]
    return sorted(found, key=lambda one: (len(one.path), one.path, one.operation))


def _p95(times: list[float]) -> float:
    """Milliseconds that 95 % of the calls stay within."""
    return round(sorted(times)[math.ceil(0.95 * len(times)) - 1], 1)
