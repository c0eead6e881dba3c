"""Control agents: what must not count as a remediation, although each makes some part of an incident go away.

    nothing              looks and leaves
    restart_everything   `kubectl rollout restart` for every workload
    delete_workload      deletes what seems broken, which silences its alerts
    silence              takes away what emits the signal: the load generator for alerts about requests, the pods for
                         alerts about pods, the autoscaler for alerts about autoscalers

Owns: these acts. Does not own: who judges them (`scenarios.selftest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from harness.cluster import Cluster, NotFound, ObjectRef, rollout_restart, scale
from harness.scoring.collateral import Condition
from harness.scoring.verdict import Baseline
from harness.telemetry import Alert, Telemetry
from scenarios.applications import load_application
from scenarios.faults import fault_of
from scenarios.faults.base import delete_if_exists, find
from scenarios.faults.chaos import ScheduledChaosExperiment
from scenarios.faults.feature_flags import FLAG_DAEMON
from scenarios.faults.waiters import RestartKubernetesWorkload
from scenarios.schema import Scenario

WORKLOAD_KINDS = ("Deployment", "StatefulSet")
BEHIND_NAMES = ("Service", "HorizontalPodAutoscaler")
"""Kinds that are called like the workload behind them."""
WORKLOAD_LABELS = ("deployment", "statefulset")


class Played(Protocol):
    """What a control agent sees of an incident."""

    cluster: Cluster
    telemetry: Telemetry

    @property
    def baseline(self) -> Baseline:
        """The healthy application, just before the injection."""


Act = Callable[[Scenario, Played], None]


def nothing(scenario: Scenario, played: Played) -> None:
    """An agent that only looks."""


def restart_everything(scenario: Scenario, played: Played) -> None:
    """`kubectl rollout restart` for every workload of the application."""
    for target in played.baseline.condition.workloads:
        if target.kind in WORKLOAD_KINDS:
            rollout_restart(played.cluster, *target)


def delete_workload(scenario: Scenario, played: Played) -> None:
    """Delete what seems broken; in a false alarm, the first workload there is."""
    before = played.baseline.condition
    for target in victims(scenario, before) or before.workloads[:1]:
        delete_if_exists(played.cluster, target)


def silence(scenario: Scenario, played: Played) -> None:
    """Take away what emits the signal of every alert; the load generator's traffic in any case."""
    fired = [alert for alert in played.telemetry.alerts() if alert.key not in played.baseline.alerts]
    sources = dict.fromkeys(source for alert in fired for source in _emitters(alert, played))
    for target in (*sources, *_load_generators(scenario)):
        if target.kind in WORKLOAD_KINDS and find(played.cluster, target) is not None:
            scale(played.cluster, *target, replicas=0)
        elif target.kind == "HorizontalPodAutoscaler":
            delete_if_exists(played.cluster, target)


CONTROLS: dict[str, Act] = {
    act.__name__: act for act in (nothing, restart_everything, delete_workload, silence)
}
"""Control agents by name."""


def victims(scenario: Scenario, before: Condition) -> tuple[ObjectRef, ...]:
    """Workloads of the healthy application that show the symptom: those that a fault changes, those that an
    experiment hits, those that are restarted to take it up, and those behind a Service that it breaks; else
    those that the alerts are about.
    Never what the fault brought along, whose removal is a remedy."""
    found: list[ObjectRef] = []
    for injection in scenario.injections():
        fault = fault_of(injection)
        aimed = getattr(fault, "target", None)
        if isinstance(fault, ScheduledChaosExperiment):
            found += fault.workloads()
        found += [*fault.objects(), *([aimed] if isinstance(aimed, ObjectRef) else [])]
    for disruption in scenario.disruptions:
        for planned in disruption.post_injection:
            if planned.waiter == RestartKubernetesWorkload.id:
                found.append(RestartKubernetesWorkload.model_validate(planned.args).target)
    named = {(target.name, target.namespace) for target in found if target.kind in BEHIND_NAMES}
    known = [one for one in before.workloads if one.kind in WORKLOAD_KINDS and one.name != FLAG_DAEMON]
    hit = [one for one in known if one in found or (one.name, one.namespace) in named]
    alerting = {alert.entity for alert in scenario.expected_alerts}
    return tuple(hit or [one for one in known if one.name in alerting])


def _emitters(alert: Alert, played: Played) -> Iterator[ObjectRef]:
    """What an alert's signal comes from, where it is not the traffic."""
    namespace = alert.labels.get("namespace", "")
    if scaler := alert.labels.get("horizontalpodautoscaler"):
        yield ObjectRef("HorizontalPodAutoscaler", scaler, namespace)
    for label in WORKLOAD_LABELS:
        if label in alert.labels:
            yield ObjectRef(label.capitalize(), alert.labels[label], namespace)
    if pod := alert.labels.get("pod"):
        yield from _owners(played.cluster, pod, namespace)


def _owners(cluster: Cluster, pod: str, namespace: str) -> Iterator[ObjectRef]:
    try:
        owned = cluster.get("Pod", pod, namespace)
        while references := owned["metadata"].get("ownerReferences"):
            owner = ObjectRef(references[0]["kind"], references[0]["name"], namespace)
            if owner.kind in WORKLOAD_KINDS:
                yield owner
            owned = cluster.get(*owner)
    except NotFound:
        return


def _load_generators(scenario: Scenario) -> Sequence[ObjectRef]:
    """Workloads from which requests come."""
    application = load_application(scenario.application)
    return [
        ObjectRef("Deployment", name, application.namespace)
        for name, workload in application.workloads.items()
        if any(operation.per_second for operation in workload.operations.values())
    ]
