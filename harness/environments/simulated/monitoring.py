"""Telemetry of the simulated environment: what Prometheus, the trace store and the log store would answer.

Owns: the Telemetry protocol over a recorder. Does not own: what is recorded (`recorder.py`), rules
(`alerts.py`) or noise (`noise.py`).

    monitoring = Monitoring(application, seed)
    world = World(seed, monitoring.runtime)
    monitoring.attach(world)
    world.deploy(application.manifests(options))
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from harness.environments.rules import Rule, load_rules
from harness.environments.simulated import logs, series
from harness.environments.simulated.alerts import Span, active_since, merged
from harness.environments.simulated.application_runtime import ApplicationRuntime
from harness.environments.simulated.call_paths import aggregated
from harness.environments.simulated.noise import ERROR_WINDOW_S, background, blips, disturbed
from harness.environments.simulated.recorder import Recorder
from harness.environments.simulated.signals import ConditionKey
from harness.telemetry import Alert, CallPath, LogRecord, Observation, Series, Topology
from scenarios.applications.graph import service_graph
from scenarios.applications.schema import Application

if TYPE_CHECKING:
    from harness.environments.simulated.store import ObjectStore
    from harness.environments.simulated.world import World

MINUTE = 60.0


class Watched(Protocol):
    """The parts of a World that monitoring reads."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""

    @property
    def store(self) -> ObjectStore:
        """All objects."""


class Monitoring:
    """Implements `harness.telemetry.Telemetry` for one world. Pickles together with it."""

    def __init__(self, application: Application, seed: int) -> None:
        self._follow(ApplicationRuntime(application, seed))

    @classmethod
    def of(cls, world: World) -> Monitoring:
        """Monitoring of a world whose runtime is an ApplicationRuntime, e.g. a restored checkpoint.

        Raises TypeError for another runtime."""
        if not isinstance(world.runtime, ApplicationRuntime):
            raise TypeError(
                f"expected a world with an ApplicationRuntime, found {type(world.runtime).__name__}"
            )
        monitoring = cls.__new__(cls)
        monitoring._follow(world.runtime)
        monitoring.attach(world)
        return monitoring

    def _follow(self, runtime: ApplicationRuntime) -> None:
        self.application = runtime.application
        self.seed = runtime.seed
        self.runtime = runtime
        self._recorder = runtime.recorder
        """For what follows from `recorder`, which has caught up."""
        self._traced = tuple(name for name, w in self.application.workloads.items() if w.traced)
        self._world: Watched | None = None
        self._answer: tuple[float, int, tuple[Alert, ...]] | None = None

    def attach(self, world: Watched) -> None:
        """Say which world is watched; before it is deployed."""
        self._world = world

    @property
    def world(self) -> Watched:
        """The watched world. Raises RuntimeError before `attach`."""
        if self._world is None:
            raise RuntimeError("Monitoring.attach(world) was not called")
        return self._world

    @property
    def recorder(self) -> Recorder:
        """What was recorded, up to the objects as they are now."""
        self.runtime.changed(self.world.now, self.world.store)
        return self._recorder

    # --- alerts

    def alerts(self) -> Sequence[Alert]:
        """Alerts that are pending or firing now: background first, then by name and entity."""
        now, store = self.world.now, self.world.store
        if self._answer is not None and self._answer[:2] == (now, store.version):
            return self._answer[2]
        found = [alert for key in self._active_keys(now) if (alert := self._alert(key, now)) is not None]
        found.sort(key=lambda alert: (alert.name, alert.entity, alert.active_at))
        answer = (*background(self.seed, self._begin), *found)
        self._answer = (now, store.version, answer)
        return answer

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> Sequence[tuple[float, Alert]]:
        """(sample time, alert) for each full minute in the window in which an alert was firing."""
        start, end = self._window(start, end)
        minutes = range(math.ceil(start / MINUTE), int(end // MINUTE) + 1)
        found = [(alert, minutes) for alert in background(self.seed, self._begin)]
        for key in self.recorder.conditions:
            rule = load_rules()[key[0]]
            for span in merged(self._spans(key, start, end)):
                firing = Span(span.begin + rule.for_s, span.end)
                if during := _within(firing, minutes):
                    found.append((self._describe(key, rule, "firing", span.begin, firing.begin), during))
        found.sort(key=lambda entry: entry[0].key)
        samples: list[list[tuple[float, Alert]]] = [[] for _ in minutes]
        for alert, during in found:
            for index in during:
                samples[index - minutes.start].append((index * MINUTE, alert))
        return [*chain.from_iterable(samples)]

    def _active_keys(self, now: float) -> Iterator[ConditionKey]:
        for key, condition in self.recorder.conditions.items():
            if condition.spans and condition.spans[-1].end > now:
                yield key
        for key in self._noisy(now):
            known = self._recorder.conditions.get(key)
            if not (known and known.spans and known.spans[-1].end > now):
                yield key

    def _noisy(self, now: float) -> Iterator[ConditionKey]:
        """Error conditions that a blip makes true now."""
        for name in disturbed(self.seed, self._traced, now):
            for index, rule in enumerate(load_rules()):
                watched = rule.watches(self.application) and rule.concerns(name)
                if rule.signal == "error_spans" and watched and self._busy(name, now):
                    yield (index, (("service_name", name),))

    def _busy(self, service: str, time: float) -> bool:
        segment = self._recorder.segment_at(time)
        return segment is not None and segment.flow.services[service].requests > 0

    def _spans(self, key: ConditionKey, start: float, end: float) -> list[Span]:
        condition = self._recorder.conditions.get(key)
        spans = list(condition.spans) if condition else []
        if load_rules()[key[0]].signal == "error_spans":
            service = key[1][0][1]
            for blip in blips(self.seed, service, start - 900, end):
                if self._busy(service, blip.begin):
                    spans.append(Span(blip.begin, blip.end + ERROR_WINDOW_S))
        return spans

    def _alert(self, key: ConditionKey, now: float) -> Alert | None:
        rule = load_rules()[key[0]]
        since = active_since(self._spans(key, now, now), now)
        if since is None:
            return None
        return self._describe(key, rule, "firing" if now - since >= rule.for_s else "pending", since, now)

    def _describe(self, key: ConditionKey, rule: Rule, state: Any, since: float, time: float) -> Alert:
        labels, description = _words(key, self.application.namespace)
        value = self._value_of(rule, labels, time)
        return Alert(rule.alert, labels, state, since, round(value, 4), description)

    def _value_of(self, rule: Rule, labels: Mapping[str, str], time: float) -> float:
        name = labels.get("service_name", "")
        segment = self._recorder.segment_at(time)
        if rule.equal is not None or segment is None:
            return rule.equal or 0.0
        if rule.signal == "latency_p95":
            return segment.flow.services[name].percentile(0.95)
        if rule.signal == "error_spans":
            return segment.flow.services[name].error_spans or 0.01
        if rule.signal == "consumer_lag":
            return float(int(self._recorder.lag_at(name, time)))
        return 1.0

    # --- metrics, logs, traces

    def metric_names(self, target: str) -> Sequence[str]:
        """Names of the metrics known for a service or pod."""
        return series.names_of(self.recorder, target)

    def metrics(
        self, target: str, names: Sequence[str] = (), start: float | None = None, end: float | None = None
    ) -> Sequence[Series]:
        """Series of a service or pod; all its metrics when `names` is empty."""
        return series.series_of(self.recorder, self.seed, target, names, *self._window(start, end))

    def logs(
        self,
        service: str = "",
        pod: str = "",
        start: float | None = None,
        end: float | None = None,
        contains: str = "",
        limit: int = 200,
        severity: str = "",
    ) -> Sequence[LogRecord]:
        """The newest `limit` matching records, oldest first."""
        return logs.recorded(
            self.recorder,
            self.seed,
            *self._window(start, end),
            service,
            pod,
            contains,
            limit,
            severity=severity,
        )

    def call_paths(self, start: float | None = None, end: float | None = None) -> Sequence[CallPath]:
        """Aggregated traces of the window, from the outermost services inwards."""
        between = self.recorder.between(*self._window(start, end))
        return aggregated(
            tuple((segment.flow, until - begin) for begin, until, segment in between if segment.collecting)
        )

    def observations(
        self, kind: str, name: str, namespace: str, start: float | None = None, end: float | None = None
    ) -> Sequence[Observation]:
        """Recorded versions of an object, oldest first; the version that held at `start` is included."""
        store = self.world.store
        versions, current = store.history.get((kind, namespace, name), []), store.get(kind, name, namespace)
        if not versions:
            return [] if current is None else [Observation(self._window(start, end)[1], current)]
        begin, until = self._window(start, end)
        kept = [version for version in versions if version[0] <= until]
        earlier = [version for version in kept if version[0] < begin]
        kept = earlier[-1:] + [version for version in kept if version[0] >= begin]
        return [Observation(time, manifest) for time, manifest in kept if manifest is not None]

    def topology(self) -> Topology:
        """The service graph: calls of the application, who reads messages from whom, who reads flags."""
        return service_graph(self.application)

    # --- time

    @property
    def _begin(self) -> float:
        segments = self.recorder.segments
        return segments[0].start if segments else 0.0

    def _window(self, start: float | None, end: float | None) -> tuple[float, float]:
        now = self.world.now
        return self._begin if start is None else start, now if end is None else min(end, now)


@lru_cache(maxsize=1024)
def _words(key: ConditionKey, namespace: str) -> tuple[Mapping[str, str], str]:
    """Labels, not to be changed, and description of an alert."""
    rule = load_rules()[key[0]]
    labels = {"alertname": rule.alert, "severity": rule.severity, "namespace": namespace, **dict(key[1])}
    return labels, rule.description.format(**labels)


def _within(span: Span, minutes: range) -> range:
    """The full minutes in which a span lasts, of these."""
    begin, end = minutes.start * MINUTE, minutes.stop * MINUTE
    return range(_minute(max(span.begin, begin)), _minute(min(span.end, end)))


def _minute(time: float) -> int:
    """The number of the first full minute that is not before a time."""
    number = math.ceil(time / MINUTE)
    return number + (number * MINUTE < time)
