"""Arithmetic of latencies: log-normal distributions given by their median and 95th percentile."""

from __future__ import annotations

import math
from collections.abc import Iterable

NEGLIGIBLE = 1e-3
"""A share of requests below this never happens."""
Z95 = 1.6449
Latency = tuple[float, float]
"""Median and 95th percentile in milliseconds."""


def above(threshold_ms: float, latency: Latency) -> float:
    """Share of a log-normal latency above a threshold; negligible shares are none."""
    median, p95 = latency
    if threshold_ms <= 0 or median <= 0:
        return float(median > threshold_ms)
    sigma = math.log(max(p95 / median, 1.001)) / Z95
    share = 0.5 * math.erfc(math.log(threshold_ms / median) / sigma / math.sqrt(2))
    return share if share > NEGLIGIBLE else 0.0


def after(first: Latency, then: Latency, times: float = 1) -> Latency:
    """Latency of one thing after another; tails add up like independent deviations."""
    median = first[0] + then[0] * times
    tail = math.hypot(first[1] - first[0], (then[1] - then[0]) * math.sqrt(times))
    return median, median + tail


def mixed(parts: Iterable[tuple[float, Latency]]) -> Latency:
    """Weighted mean of latencies; zero when nothing weighs."""
    known = [part for part in parts if part[0] > 0]
    total = sum(weight for weight, _ in known)
    if not total:
        return (0.0, 0.0)
    return sum(w * ms[0] for w, ms in known) / total, sum(w * ms[1] for w, ms in known) / total


def capped(latency: Latency, bound: float) -> Latency:
    """A latency that nobody waits for longer than `bound`."""
    return min(latency[0], bound), min(latency[1], bound)
