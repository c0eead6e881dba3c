"""The three-part verdict on a trial, decided outside the agent from the cluster and its alerts.

    symptom cleared    every alert of the incident is gone, and gone because users are served again
    cause removed      the predicate of every injected fault holds
    collateral damage  something else was changed, or a workload is worse off than before the incident

Owns: the baseline, the polling loop, and when an alert counts as cleared. Does not own: fault predicates
(`scenarios.faults`), the comparison of objects (`harness.scoring.collateral`). No intervention can change
it.

An alert that stopped firing has not cleared when it is merely pending again, when the thing that it was
about no longer exists, or when a service that had traffic before the incident has none now: Prometheus
drops an alert whose series disappears, and restarts empty the rate windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from harness.cluster import Cluster, ObjectRef
from harness.records import Verdict
from harness.scoring.collateral import Condition, damage, observe
from harness.telemetry import Alert, Telemetry
from scenarios.faults import Injection, causes_left, fault_of

T = TypeVar("T")
AlertKey = tuple[str, str]
"""(name, entity)."""

SOAK_S = 300.0
"""Alerts that fired this long before the injection are background."""
TRAFFIC_S = 120.0
"""A service is served if a request succeeded this lately: the shortest rate window of the alert rules."""
SERVICE_LABELS = ("service_name", "service")
WORKLOAD_LABELS = ("deployment", "statefulset", "daemonset", "workload")


@dataclass(frozen=True, slots=True)
class VerdictPolicy:
    """How long and how often to look after the agent has finished."""

    window_s: float = 600.0
    """Environment seconds until a symptom that has not cleared counts as not cleared."""
    interval_s: float = 30.0
    passes: int = 2
    """Consecutive polls without an alert of the incident."""
    pace: float = 1.0
    """Environment seconds per second of SOAK_S and TRAFFIC_S; below 1 where alert rules have shorter windows too."""

    def __post_init__(self) -> None:
        if self.interval_s <= 0 or self.window_s < 0 or self.passes < 1:
            raise ValueError(f"expected interval_s > 0, window_s >= 0 and passes >= 1, found {self}")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The healthy application, just before the injection."""

    time: float
    alerts: frozenset[AlertKey]
    """Background: fired lately although nothing was wrong."""
    served: frozenset[str]
    """Services that had successful requests."""
    condition: Condition = field(repr=False)

    @classmethod
    def capture(
        cls, cluster: Cluster, telemetry: Telemetry, namespaces: Sequence[str], pace: float = 1.0
    ) -> Baseline:
        """Look at a healthy application in these namespaces."""
        now = cluster.now()
        recent = (alert.key for _, alert in telemetry.alert_history(now - SOAK_S * pace, now))
        firing = (alert.key for alert in telemetry.alerts() if alert.state == "firing")
        condition = observe(cluster, namespaces)
        return cls(now, frozenset((*recent, *firing)), served(telemetry, now, pace), condition)


@dataclass(slots=True)
class _Watch:
    """What the polls have seen. `incident` grows with every alert that fires beyond the baseline."""

    baseline: Baseline
    cluster: Cluster
    telemetry: Telemetry
    incident: dict[AlertKey, Alert]
    pace: float
    subjects: dict[AlertKey, ObjectRef | None] = field(default_factory=dict)
    """Alert of the incident -> the workload that it is about, as far as it was asked for."""

    def remaining(self) -> list[str]:
        """Alerts of the incident that have not cleared, with the reason where they do not fire."""
        current = self.telemetry.alerts()
        firing = {alert.key: alert for alert in current if alert.state == "firing"}
        self.incident.update((key, alert) for key, alert in firing.items() if key not in self.baseline.alerts)
        pending = {alert.key for alert in current} - firing.keys()
        served_now: frozenset[str] | None = None
        found: list[str] = []
        for key, alert in self.incident.items():
            name = f"{alert.name}@{alert.entity}"
            if key in firing:
                found.append(name)
            elif key in pending:
                found.append(f"{name} (pending again)")
            else:
                if served_now is None:
                    served_now = served(self.telemetry, self.cluster.now(), self.pace)
                if lost := self._lost(alert, served_now):
                    found.append(f"{name} ({lost})")
        return sorted(found)

    def _lost(self, alert: Alert, served_now: frozenset[str]) -> str:
        """Why an alert that does not fire any more is no sign of recovery; empty when it is one."""
        key = alert.key
        if key not in self.subjects:
            self.subjects[key] = _subject(alert, self.baseline.condition.workloads)
        subject = self.subjects[key]
        if subject is not None and not _wants_pods(self.cluster, subject):
            return "its workload is gone or scaled to zero"
        for label in SERVICE_LABELS:
            service = alert.labels.get(label, "")
            if service in self.baseline.served and service not in served_now:
                return "no requests are served any more"
        return ""


class Decided(Protocol):
    """What a verdict needs of an environment."""

    cluster: Cluster
    telemetry: Telemetry

    async def run(self, work: Callable[[], T]) -> T:
        """Run synchronous work without blocking other trials."""

    async def elapse(self, seconds: float) -> None:
        """Let time pass."""

    def now(self) -> float:
        """Seconds since the epoch."""


async def decide(
    environment: Decided,
    baseline: Baseline,
    injections: Sequence[Injection],
    policy: VerdictPolicy | None = None,
) -> Verdict:
    """Poll until all is well for `passes` consecutive polls, or the window is over; the end decides."""
    policy = policy or VerdictPolicy()
    cluster, telemetry = environment.cluster, environment.telemetry
    start = environment.now()

    def begin() -> _Watch:
        seen = (alert for _, alert in telemetry.alert_history(baseline.time, start))
        incident = {alert.key: alert for alert in seen if alert.key not in baseline.alerts}
        return _Watch(baseline, cluster, telemetry, incident, policy.pace)

    watch = await environment.run(begin)
    clear_since: float | None = None
    streak = 0
    while True:
        remaining = await environment.run(watch.remaining)
        if remaining:
            clear_since, streak = None, 0
        else:
            clear_since = environment.now() if clear_since is None else clear_since
            streak += 1
        cleared = streak >= policy.passes
        over = environment.now() - start >= policy.window_s
        if cleared or over:
            causes = await environment.run(lambda: _causes(cluster, injections))
            if over or not causes:
                stands = bool(causes)
                harm = await environment.run(
                    partial(
                        damage,
                        cluster,
                        baseline.condition,
                        injections,
                        fault_stands=stands,
                        false_alarm=not injections,
                    )
                )
                if over or not harm:
                    break
        await environment.elapse(policy.interval_s)
    return Verdict(
        symptom_cleared=cleared,
        cause_removed=not causes,
        collateral_damage=bool(harm),
        remaining_alerts=tuple(remaining),
        remaining_causes=tuple(causes),
        damage=tuple(harm),
        settled_after_s=clear_since - start if cleared and clear_since is not None else None,
    )


def served(telemetry: Telemetry, now: float, pace: float = 1.0) -> frozenset[str]:
    """Services that answered a request successfully within the last TRAFFIC_S seconds."""
    paths = telemetry.call_paths(now - TRAFFIC_S * pace, now)
    return frozenset(service for path in paths if path.count > path.errors for service in path.path)


def _causes(cluster: Cluster, injections: Iterable[Injection]) -> list[str]:
    left = causes_left(cluster, injections)
    return [f"{one.fault}: {', '.join(map(str, fault_of(one).objects()))}" for one in left]


def _subject(alert: Alert, workloads: Iterable[ObjectRef]) -> ObjectRef | None:
    """The workload of the baseline that an alert is about; None when it is about something else."""
    namespace = alert.labels.get("namespace")
    candidates = [one for one in workloads if namespace is None or one.namespace == namespace]
    for label in (*SERVICE_LABELS, *WORKLOAD_LABELS):
        for workload in candidates:
            if alert.labels.get(label) == workload.name:
                return workload
    pod = alert.labels.get("pod", "")
    owners = [workload for workload in candidates if pod.startswith(f"{workload.name}-")]
    return max(owners, key=lambda workload: len(workload.name), default=None)


def _wants_pods(cluster: Cluster, workload: ObjectRef) -> bool:
    """Whether the workload exists and asks for at least one pod."""
    return any(
        one["metadata"]["name"] == workload.name and one["spec"].get("replicas", 1) > 0
        for one in cluster.list(workload.kind, workload.namespace)
    )
