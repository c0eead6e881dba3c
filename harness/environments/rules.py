"""The alert rules that watch applications, whoever computes their signals.

Owns: `alert_rules.yaml`, comparisons, windows and hold times. Does not own: the signals, or when an expression holds
(`simulated/alerts.py` from intervals, `kubernetes/alerting.py` from samples).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

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


@lru_cache(maxsize=1)
def rule_numbers() -> Mapping[str, int]:
    """Signal -> number of the rule that reads it; of the last one where several do."""
    return {rule.signal: index for index, rule in enumerate(load_rules())}


@lru_cache(maxsize=4096)
def rule_concerns(index: int, service: str) -> bool:
    """`Rule.concerns` for a rule by its number."""
    return load_rules()[index].concerns(service)
