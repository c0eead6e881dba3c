"""What monitoring keeps: the flow of requests over time and when each alert expression held.

Owns: segments (steady states with their start), conditions, consumer lag, restarts. Does not own: how agents
read them (`monitoring.py`). It is told about changes and stores only what differs, so a world in which nothing
happens costs nothing, however long it runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from harness.environments.simulated.alerts import Condition, Labels, Rule, load_rules, rule_concerns
from harness.environments.simulated.flow import Flow, flow_of
from harness.environments.simulated.process import Process
from harness.environments.simulated.view import ClusterView, PodFacts
from scenarios.applications.schema import Application

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

LAG = "consumer_lag"
ConditionKey = tuple[int, Labels]
"""Number of the rule and the affected thing."""


class Segment(NamedTuple):
    """A steady state and since when it lasts."""

    start: float
    flow: Flow
    pods: dict[str, tuple[PodTrace, ...]]
    """Workload -> its pods that exist."""
    collecting: bool
    """The collector is up: span metrics, traces and logs are recorded."""


class PodTrace(NamedTuple):
    """A pod as its metrics show it."""

    name: str
    ready: bool
    restarts: int


class Lag(NamedTuple):
    """Messages that a consumer group is behind: a level at a time, and its slope."""

    time: float
    level: float
    slope: float

    def at(self, time: float) -> float:
        """Messages behind at a later time."""
        return max(0.0, self.level + self.slope * (time - self.time))


class Start(NamedTuple):
    """A container's start with what it wrote then."""

    time: float
    workload: str
    pod: str
    container: str
    process: Process


class Recorder:
    """Follows one world."""

    def __init__(self, application: Application, view: ClusterView) -> None:
        self.application = application
        self.view = view
        self.version = -1
        self.segments: list[Segment] = []
        self.conditions: dict[ConditionKey, Condition] = {}
        self.lags: dict[str, list[Lag]] = {}
        self.starts: list[Start] = []
        self._seen: set[str] = set()
        """Services whose span metrics exist."""
        self._collector: tuple[str, ...] = ()
        self._kube: set[ConditionKey] = set()
        self._present: tuple[str, ...] = ()

    def changed(self, now: float, store: ObjectStore) -> None:
        """Take in the objects as they are."""
        if store.version == self.version:
            return
        self.version = store.version
        pods = self.view.pods(store)
        self.view.forget(pods)
        flow = flow_of(self.application, self.view.signature(store, pods))
        self._follow_segment(now, flow, pods, store)
        self._follow_kube(now, pods, store)

    # --- requests

    def _follow_segment(self, now: float, flow: Flow, pods: list[PodFacts], store: ObjectStore) -> None:
        traces: dict[str, tuple[PodTrace, ...]] = {}
        for pod in pods:
            if pod.workload:
                trace = PodTrace(pod.name, pod.ready, sum(count for _, count in pod.restarts))
                traces[pod.workload] = (*traces.get(pod.workload, ()), trace)
        collector = self.application.collector
        collecting = tuple(t.name for t in traces.get(collector, ()) if t.ready)
        namespace = self.application.namespace
        present = tuple(d["metadata"]["name"] for d in store.list("Deployment", namespace))
        last = self.segments[-1] if self.segments else None
        if last is None or last.flow is not flow or last.pods != traces:
            segment = Segment(now, flow, traces, bool(collecting) or not collector)
            if last is not None and last.start == now:
                self.segments[-1] = segment
            else:
                self.segments.append(segment)
        if last is None or last.flow is not flow or collecting != self._collector or present != self._present:
            self._follow_flow(now, flow, collecting, set(present))
            self._present = present

    def _follow_flow(self, now: float, flow: Flow, collector: tuple[str, ...], present: set[str]) -> None:
        if self.application.collector and collector != self._collector:
            self._seen.clear()
        self._collector = collector
        recorded = bool(collector) or not self.application.collector
        traced = [
            name for name in flow.services
            if recorded and name in present and self.application.workloads[name].traced
        ]  # fmt: skip
        self._seen.intersection_update(traced)
        self._seen.update(
            name for name in traced if flow.services[name].ok_spans + flow.services[name].error_spans > 0
        )
        consumers = {name for name in flow.consumers if name in self._seen or self._known_group(name, flow)}
        for index, rule in enumerate(load_rules()):
            for service, value, share in self._span_signal(rule, flow, consumers):
                if rule_concerns(index, service):
                    key = (index, (("service_name", service),))
                    self._set(now, key, rule, rule.holds(value), share)
            if rule.signal in SPAN_SIGNALS:
                self._drop_absent(now, index)
        for name, consumer in flow.consumers.items():
            self._follow_lag(now, name, consumer.produced - consumer.capacity)

    def _known_group(self, name: str, flow: Flow) -> bool:
        """The broker knows a consumer group once it had members."""
        if flow.consumers[name].members:
            self.lags.setdefault(name, [])
        return name in self.lags

    def _span_signal(self, rule: Rule, flow: Flow, consumers: set[str]) -> Iterator[tuple[str, float, float]]:
        """(service, value, share of affected requests) of each series that exists."""
        if rule.signal in SPAN_SIGNALS:
            for name in sorted(self._seen):
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
                (name, float(flow.consumers[name].members), 1.0)
                for name in consumers
                if self._broker_up(name, flow)
            )
        elif rule.signal == "connection_closures":
            yield from ((name, float(flow.consumers[name].closing), 1.0) for name in flow.consumers)

    def _broker_up(self, name: str, flow: Flow) -> bool:
        operations = self.application.workloads[name].operations.values()
        brokers = {operation.consumes.partition("/")[0] for operation in operations if operation.consumes}
        ready = {workload for workload, _ in flow.signature.pods}
        return brokers <= ready

    def _drop_absent(self, now: float, index: int) -> None:
        for (rule, labels), condition in self.conditions.items():
            if rule == index and condition.is_open and labels[0][1] not in self._seen:
                condition.stop(now)

    def _follow_lag(self, now: float, name: str, slope: float) -> None:
        history = self.lags.setdefault(name, [])
        level = history[-1].at(now) if history else 0.0
        lag = Lag(now, level, slope if slope > 0 or level > 0 else 0.0)
        if history and history[-1].slope == lag.slope and lag.slope == 0:
            return
        history.append(lag)
        for index, rule in enumerate(load_rules()):
            if rule.signal != LAG or rule.above is None:
                continue
            key = (index, (("service_name", name),))
            begin, end = crossing(lag, rule.above)
            if begin is not None or key in self.conditions:
                self.conditions.setdefault(key, Condition()).foresee(now, begin, end)

    # --- Kubernetes state

    def _follow_kube(self, now: float, pods: Iterable[PodFacts], store: ObjectStore) -> None:
        active = set(self._kube_conditions(pods, store))
        rules = load_rules()
        for key in self._kube - active:
            self._set(now, key, rules[key[0]], False)
        for key in active - self._kube:
            self._set(now, key, rules[key[0]], True)
        self._kube = active

    def _kube_conditions(self, pods: Iterable[PodFacts], store: ObjectStore) -> Iterator[ConditionKey]:
        number = {rule.signal: index for index, rule in enumerate(load_rules())}
        for pod in pods:
            place = (("namespace", pod.namespace), ("pod", pod.name))
            if pod.phase in ("Pending", "Unknown", "Failed"):
                yield number["pod_not_ready"], place
            if pod.phase == "Failed":
                yield number["failed_pods"], (("namespace", pod.namespace),)
            for container, reason in pod.waiting:
                signal = "crash_loop" if reason == "CrashLoopBackOff" else "container_waiting"
                yield number[signal], (*place, ("container", container))
        for autoscaler in store.list("HorizontalPodAutoscaler"):
            metadata, spec = autoscaler["metadata"], autoscaler["spec"]
            replicas = autoscaler.get("status", {}).get("currentReplicas", 0)
            if spec.get("minReplicas", 1) < replicas == spec["maxReplicas"]:
                named = ("horizontalpodautoscaler", metadata["name"])
                yield number["hpa_maxed_out"], (("namespace", metadata["namespace"]), named)
        for deployment in store.list("Deployment"):
            for condition in deployment.get("status", {}).get("conditions", ()):
                if condition["type"] == "Progressing" and condition["status"] == "False":
                    metadata = deployment["metadata"]
                    labels = (("namespace", metadata["namespace"]), ("deployment", metadata["name"]))
                    yield number["rollout_stuck"], labels

    def _set(self, now: float, key: ConditionKey, rule: Rule, on: bool, share: float = 1.0) -> None:
        condition = self.conditions.get(key)
        if on:
            if condition is None:
                condition = self.conditions[key] = Condition()
            condition.start(now, *rule.delays(share))
        elif condition is not None:
            condition.stop(now)

    # --- reading

    def segment_at(self, time: float) -> Segment | None:
        """The steady state at a time."""
        return next((segment for segment in reversed(self.segments) if segment.start <= time), None)

    def between(self, start: float, end: float) -> Iterator[tuple[float, float, Segment]]:
        """(from, to, segment) of the parts of a window, oldest first."""
        ends = [segment.start for segment in self.segments[1:]] + [math.inf]
        for segment, until in zip(self.segments, ends, strict=True):
            if until > start and segment.start < end:
                yield max(start, segment.start), min(end, until), segment

    def lag_at(self, name: str, time: float) -> float:
        """Messages that a consumer group is behind."""
        return next((lag.at(time) for lag in reversed(self.lags.get(name, ())) if lag.time <= time), 0.0)


SPAN_SIGNALS = frozenset({"latency_p95", "error_spans", "ok_spans", "database_spans"})


def crossing(lag: Lag, threshold: float) -> tuple[float | None, float]:
    """From when to when a lag that goes on like this is above a threshold; (None, inf) for never."""
    if lag.level > threshold:
        return lag.time, lag.time + (lag.level - threshold) / -lag.slope if lag.slope < 0 else math.inf
    if lag.slope > 0:
        return lag.time + (threshold - lag.level) / lag.slope, math.inf
    return None, math.inf
