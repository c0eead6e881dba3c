"""What monitoring keeps: the flow of requests over time and when each alert expression held.

Owns: segments (steady states with their start), conditions, consumer lag, restarts. Does not own: how agents
read them (`monitoring.py`). It is told about changes and stores only what differs, so a world in which nothing
happens costs nothing, however long it runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from harness.environments.rules import Rule, load_rules, rule_numbers
from harness.environments.simulated.alerts import Condition
from harness.environments.simulated.control_plane import Trouble, troubles
from harness.environments.simulated.disturbances import Disturbances
from harness.environments.simulated.flow import Flow, flow_of
from harness.environments.simulated.kinds import EXPERIMENTS
from harness.environments.simulated.pod_facts import PodFacts, PodTrace
from harness.environments.simulated.process import Process
from harness.environments.simulated.signals import ConditionKey, Signals, differences, signals_of
from harness.environments.simulated.view import ClusterView
from scenarios.applications.schema import Application

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore

LAG = "consumer_lag"
CHAOS_KINDS = frozenset({"Schedule", *EXPERIMENTS})


Writers = tuple[tuple[str, tuple[str, ...]], ...]
"""(workload, pods of it that write logs)."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A steady state and since when it lasts."""

    start: float
    flow: Flow
    pods: dict[str, tuple[PodTrace, ...]]
    """Workload -> its pods that exist."""
    collecting: bool
    """The collector is up: span metrics, traces and logs are recorded."""
    api_slow: bool = False
    """The API server answers so slowly that scrapes of object states time out."""

    def writers_of(self, workload: str) -> Writers:
        """Who writes logs for a workload, or for any if it is empty."""
        if not workload:
            return self._writers
        return ((workload, _writing(self.pods[workload])),) if workload in self.pods else ()

    @cached_property
    def _writers(self) -> Writers:
        return tuple((name, _writing(pods)) for name, pods in self.pods.items())


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
        self._seen: frozenset[str] = frozenset()
        """Services whose span metrics exist."""
        self._signals: Signals | None = None
        """The signals of the last segment."""
        self._base = -1
        """Version of the last write to anything but chaos objects."""
        self._troubles: set[Trouble] = set()
        self._flows: dict[tuple[tuple[str, Disturbances], ...], Flow] = {}
        """Disturbances -> flow, for the objects as they are but for chaos."""
        self._collector: tuple[str, ...] = ()
        self._kube: set[ConditionKey] = set()
        self._present: tuple[str, ...] = ()

    def changed(self, now: float, store: ObjectStore) -> None:
        """Take in the objects as they are."""
        if store.version == self.version:
            return
        self.version = store.version
        disturbed = self.view.disturbed.by_pod(store)
        slow = self._follow_troubles(now, store, disturbed)
        base, mark = store.last_write(CHAOS_KINDS), tuple(sorted(disturbed.items()))
        if base == self._base and mark in self._flows:
            self._follow_disturbance(now, self._flows[mark], slow)
            return
        pods = self.view.pods(store)
        self.view.forget(pods)
        flow = flow_of(self.application, self.view.signature(store, pods))
        if base != self._base:
            self._base = base
            self._flows.clear()
        self._flows[mark] = flow
        self._follow_segment(now, flow, slow, pods, store)
        self._follow_kube(now, pods, store)

    # --- requests

    def _follow_disturbance(self, now: float, flow: Flow, slow: bool) -> None:
        """Only chaos experiments came or went, as they did before: everything but the flow is as it was."""
        last = self.segments[-1]
        if flow is not last.flow or slow != last.api_slow:
            self.segments.append(replace(last, start=now, flow=flow, api_slow=slow))
        if flow is not last.flow:
            self._follow_flow(now, flow, self._collector, set(self._present))

    def _follow_segment(
        self, now: float, flow: Flow, slow: bool, pods: list[PodFacts], store: ObjectStore
    ) -> None:
        traces: dict[str, tuple[PodTrace, ...]] = {}
        for pod in pods:
            if pod.workload:
                traces[pod.workload] = (*traces.get(pod.workload, ()), pod.trace)
        collector = self.application.collector
        collecting = tuple(t.name for t in traces.get(collector, ()) if t.ready)
        namespace = self.application.namespace
        present = tuple(d["metadata"]["name"] for d in store.list("Deployment", namespace))
        last = self.segments[-1] if self.segments else None
        if last is None or last.flow is not flow or last.pods != traces or last.api_slow != slow:
            segment = Segment(now, flow, traces, bool(collecting) or not collector, slow)
            if last is not None and last.start == now:
                self.segments[-1] = segment
            else:
                self.segments.append(segment)
        if last is None or last.flow is not flow or collecting != self._collector or present != self._present:
            self._follow_flow(now, flow, collecting, set(present))
            self._present = present

    def _follow_flow(self, now: float, flow: Flow, collector: tuple[str, ...], present: set[str]) -> None:
        if self.application.collector and collector != self._collector:
            self._seen = frozenset()
        self._collector = collector
        recorded = bool(collector) or not self.application.collector
        traced = {
            name for name in flow.services
            if recorded and name in present and self.application.workloads[name].traced
        }  # fmt: skip
        active = {
            name for name in traced if flow.services[name].ok_spans + flow.services[name].error_spans > 0
        }
        self._seen = (self._seen & traced) | active
        groups = frozenset(
            name for name in flow.consumers if name in self._seen or self._known_group(name, flow)
        )
        signals = signals_of(flow, self._seen, groups)
        rules = load_rules()
        for key, holds, share in differences(self._signals, signals):
            self._set(now, key, rules[key[0]], holds, share)
        self._signals = signals
        for name, consumer in flow.consumers.items():
            self._follow_lag(now, name, consumer.produced - consumer.capacity)

    def _known_group(self, name: str, flow: Flow) -> bool:
        """The broker knows a consumer group once it had members."""
        if flow.consumers[name].members:
            self.lags.setdefault(name, [])
        return name in self.lags

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

    def _follow_troubles(self, now: float, store: ObjectStore, disturbed: Mapping[str, Disturbances]) -> bool:
        """Follow what is slow about the control plane; whether the API server is."""
        rules, found = load_rules(), set(troubles(store, disturbed))
        for signal, labels in found ^ self._troubles:
            index = rule_numbers()[signal]
            self._set(now, (index, labels), rules[index], (signal, labels) in found)
        self._troubles = found
        return any(signal == "api_slow" for signal, _ in found)

    def _follow_kube(self, now: float, pods: Iterable[PodFacts], store: ObjectStore) -> None:
        active = set(self._kube_conditions(pods, store))
        rules = load_rules()
        for key in self._kube - active:
            self._set(now, key, rules[key[0]], False)
        for key in active - self._kube:
            self._set(now, key, rules[key[0]], True)
        self._kube = active

    def _kube_conditions(self, pods: Iterable[PodFacts], store: ObjectStore) -> Iterator[ConditionKey]:
        number = rule_numbers()
        for pod in pods:
            for signal, labels in pod.alarms:
                yield number[signal], labels
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


def _writing(pods: Sequence[PodTrace]) -> tuple[str, ...]:
    """The ready ones, or all where none is."""
    return tuple([pod.name for pod in pods if pod.ready] or [pod.name for pod in pods])


def crossing(lag: Lag, threshold: float) -> tuple[float | None, float]:
    """From when to when a lag that goes on like this is above a threshold; (None, inf) for never."""
    if lag.level > threshold:
        return lag.time, lag.time + (lag.level - threshold) / -lag.slope if lag.slope < 0 else math.inf
    if lag.slope > 0:
        return lag.time + (threshold - lag.level) / lag.slope, math.inf
    return None, math.inf
