"""What alert rules compare in a steady state: every span and consumer rule against every service, once per flow.

Owns: the signals of alert rules that follow from a flow, and what differs between two states. Does not own:
when conditions hold (`recorder.py`) or signals read from Kubernetes objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from harness.environments.rules import Labels, Rule, load_rules, rule_concerns
from harness.environments.simulated.flow import Flow

ConditionKey = tuple[int, Labels]
"""Number of the rule and the affected thing."""
SPAN_SIGNALS = frozenset(
    {"latency_p95", "error_spans", "ok_spans", "database_spans", "forwarded", "connections"}
)


class Finding(NamedTuple):
    """A rule's comparison for one service."""

    key: ConditionKey
    holds: bool
    share: float
    """Share of requests that are affected."""


class Signals:
    """The comparisons of one steady state. Pickles as what they follow from."""

    __slots__ = ("findings", "source")

    def __init__(self, flow: Flow, seen: frozenset[str], groups: frozenset[str]) -> None:
        self.source = (flow, seen, groups)
        self.findings: dict[ConditionKey, Finding] = {}
        for index, rule in enumerate(load_rules()):
            if not rule.watches(flow.application):
                continue
            for service, value, share in _values(rule, flow, seen, groups):
                if rule_concerns(index, service):
                    key = (index, (("service_name", service),))
                    self.findings[key] = Finding(key, rule.holds(value), share)

    def __reduce__(self) -> tuple[Any, ...]:
        return (signals_of, self.source)


@lru_cache(maxsize=512)
def signals_of(flow: Flow, seen: frozenset[str], groups: frozenset[str]) -> Signals:
    """Signals of a flow, for services whose spans exist and consumer groups that the broker knows."""
    return Signals(flow, seen, groups)


@lru_cache(maxsize=1024)
def differences(old: Signals | None, new: Signals) -> tuple[Finding, ...]:
    """Findings of `new` that were not so in `old`; what only `old` has holds no more."""
    before = old.findings if old is not None else {}
    gone = (Finding(key, False, 1.0) for key in before if key not in new.findings)
    changed = (
        one for one in new.findings.values() if one.key not in before or before[one.key].holds != one.holds
    )
    return (*gone, *changed)


def _values(
    rule: Rule, flow: Flow, seen: frozenset[str], groups: frozenset[str]
) -> Iterator[tuple[str, float, float]]:
    """(service, value, share of affected requests) of each series that exists."""
    if rule.signal in SPAN_SIGNALS:
        for name in sorted(seen):
            service = flow.services[name]
            if rule.signal == "latency_p95":
                slow = service.slow_share(rule.above or 0)
                yield name, (rule.above or 0) + (1 if slow > 0.05 else -1), slow
            elif rule.signal == "database_spans":
                yield name, flow.edge_rate(name, "postgresql"), 1.0
            else:
                yield name, getattr(service, rule.signal), 1.0
    elif rule.signal == "consumer_members":
        yield from (
            (name, float(flow.consumers[name].members), 1.0) for name in groups if _broker_up(name, flow)
        )
    elif rule.signal == "connection_closures":
        yield from ((name, float(flow.consumers[name].closing), 1.0) for name in flow.consumers)


def _broker_up(name: str, flow: Flow) -> bool:
    operations = flow.application.workloads[name].operations.values()
    brokers = {operation.consumes.partition("/")[0] for operation in operations if operation.consumes}
    ready = {workload for workload, _ in flow.signature.pods}
    return brokers <= ready
