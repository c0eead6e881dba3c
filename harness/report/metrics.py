"""The metrics that reports show: which column of the trials table, in which unit, which way is better.

Owns: the list and how a value is written. Does not own: how a metric is computed from a record
(`harness/statistics/frames.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import ConfigurationError, Problem


@dataclass(frozen=True)
class Metric:
    """One column of the trials table, as a reader sees it."""

    column: str
    label: str
    better: Literal["higher", "lower", "neither"]
    bounds: tuple[float, float]
    """The range that a value can take."""
    digits: int
    says: str
    """What it means, in one line."""


UNIT = (0.0, 1.0)
AMOUNT = (0.0, math.inf)

METRICS: dict[str, Metric] = {
    metric.column: metric
    for metric in (
        Metric("recall", "recall", "higher", UNIT, 2, "share of distinct root-cause groups named"),
        Metric(
            "remediated",
            "remediated",
            "higher",
            UNIT,
            2,
            "symptom cleared, cause removed, nothing else harmed",
        ),
        Metric("precision", "precision", "higher", UNIT, 2, "share of named root causes that are right"),
        Metric("f1", "F1", "higher", UNIT, 2, "harmonic mean of precision and recall, per trial"),
        Metric("recall_strict", "recall (strict)", "higher", UNIT, 2, "recall with equal kinds required"),
        Metric("mutation_recall", "mutation recall", "higher", UNIT, 2, "share of injected objects named"),
        Metric("modes", "modes/trace", "lower", AMOUNT, 2, "distinct failure modes present in a trace"),
        Metric("modes_final", "modes/trace, final", "lower", AMOUNT, 2, "the same without repaired ones"),
        Metric(
            "modes_per_10_steps", "modes/10 steps", "lower", AMOUNT, 2, "modes per ten attempted tool calls"
        ),
        Metric("tool_calls", "tool calls", "neither", AMOUNT, 1, "attempted tool calls, executed or denied"),
        Metric("tokens", "tokens", "lower", AMOUNT, 0, "input and output tokens of a trial"),
        Metric("cost_usd", "cost (USD)", "lower", AMOUNT, 4, "money that a trial's models cost"),
    )
}

PUBLIC_NAME = {"modes": "modes_per_trace", "modes_final": "modes_per_trace_final"}
"""Column -> name in `results.json`, where they differ."""

CONTRASTED = ("recall", "remediated", "modes", "modes_per_10_steps", "tool_calls", "tokens", "cost_usd")
"""Columns that every declared contrast is computed for, beside the primary metric."""


def public_name(column: str) -> str:
    """The name of a metric in `results.json`."""
    return PUBLIC_NAME.get(column, column)


def by_public_name(name: str) -> Metric:
    """The metric that `results.json` calls `name`."""
    columns = {public_name(column): column for column in METRICS}
    return METRICS[columns[name]]


def primary_column(name: str) -> str:
    """The column of the plan's primary metric. Raises ConfigurationError for one that does not exist."""
    columns = {public_name(column): column for column in METRICS}
    if name not in columns:
        known = ", ".join(columns)
        raise ConfigurationError(Problem("primary_metric", f"{name!r} is no metric", f"one of: {known}"))
    return columns[name]


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number for people; a dash where there is none."""
    if value is None:
        return "–"
    text = f"{value:{'+' if sign else ''},.{digits}f}"
    # A difference that rounds to nothing has no direction.
    return text.lstrip("+-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def interval(low: float | None, high: float | None, digits: int = 2, sign: bool = False) -> str:
    """Limits in square brackets, or words where there are none."""
    if low is None or high is None:
        return "[no interval]"
    return f"[{number(low, digits, sign)}, {number(high, digits, sign)}]"


def with_interval(estimate: Mapping[str, Any] | None, digits: int = 2, sign: bool = False) -> str:
    """`0.72 [0.61, 0.83]` from an entry of `results.json` with mean or estimate, low and high."""
    if estimate is None:
        return "–"
    middle = estimate["mean"] if "mean" in estimate else estimate["estimate"]
    if middle is None:
        return "–"
    if estimate.get("method") == "degenerate":
        return f"{number(middle, digits, sign)} [all equal]"
    return f"{number(middle, digits, sign)} {interval(estimate['low'], estimate['high'], digits, sign)}"


def p_text(p: float | None) -> str:
    """A p-value for people."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
