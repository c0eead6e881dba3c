"""Call paths from the traces of a Jaeger server, through the HTTP API that its own pages use.

Owns: which traces are asked for, how they are read, what stands for what was not. Does not own: what spans show
(`harness/environments/otel`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from urllib.request import Request

import msgspec

from harness.environments.kubernetes.sources import web
from harness.environments.otel.paths import added_up
from harness.environments.otel.spans import Call, Span, calls_of, is_outgoing, target_of
from harness.errors import Unanswered
from harness.telemetry import CallPath
from scenarios.applications.schema import Application

TRACES = 100
"""Traces per service and window. Jaeger sends the newest; they count for the whole window."""
BUDGET_S = 60.0
"""For all services together."""
SHORTEST_S = 1.0
"""No shorter time counts for a whole window."""
Wanted = TypeVar("Wanted")


class _Tag(msgspec.Struct):
    key: str
    value: Any = None


class _Reference(msgspec.Struct):
    trace: str = msgspec.field(name="traceID")
    span: str = msgspec.field(name="spanID")


class _Span(msgspec.Struct):
    id: str = msgspec.field(name="spanID")
    name: str = msgspec.field(name="operationName")
    start: int = msgspec.field(name="startTime")
    duration: int = 0
    process: str = msgspec.field(name="processID", default="")
    references: list[_Reference] | None = None
    tags: list[_Tag] | None = None


class _Process(msgspec.Struct):
    service: str = msgspec.field(name="serviceName")


class Trace(msgspec.Struct):
    """One trace as Jaeger tells it."""

    id: str = msgspec.field(name="traceID")
    spans: list[_Span]
    processes: dict[str, _Process]

    @property
    def start(self) -> float:
        """When its first span began."""
        return min((span.start for span in self.spans), default=0) / 1e6

    @property
    def services(self) -> set[str]:
        """All that took part."""
        return {process.service for process in self.processes.values()}


class _Answer(msgspec.Struct, Generic[Wanted]):
    data: list[Wanted] | None
    """Null where nothing was found."""
    errors: list[dict[str, Any]] | None = None


class Jaeger:
    """The query API of a Jaeger server."""

    def __init__(self, url: str) -> None:
        """`url`: with the server's base path, if it has one."""
        self._url = url.rstrip("/")
        self.who = f"Jaeger at {url}"

    def services(self) -> list[str]:
        """Services that any trace names. Raises InfrastructureError."""
        return self._get("services", str)

    def traces(self, service: str, low: float, high: float) -> list[Trace]:
        """The newest TRACES traces of a service in a window. Raises InfrastructureError."""
        start, end = (round(at * 1e6) for at in (low, high))
        return self._get("traces", Trace, service=service, start=start, end=end, limit=TRACES)

    def _get(self, path: str, wanted: type[Wanted], **parameters: Any) -> list[Wanted]:
        url = f"{self._url}/api/{path}"
        body = web.fetch(self.who, Request(f"{url}?{urlencode(parameters)}" if parameters else url))
        try:
            answer = msgspec.json.decode(body, type=_Answer[wanted])  # type: ignore[valid-type]
        except ValueError as error:
            web.refuse(self.who, f"/api/{path}: not the expected answer: {error}")
        if answer.errors and not answer.data:
            web.refuse(self.who, f"/api/{path}: {answer.errors[0].get('msg', 'an error without a message')}")
        return answer.data or []


class JaegerPaths:
    """Call paths of one application."""

    def __init__(
        self, jaeger: Jaeger, application: Application, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._jaeger = jaeger
        self._application = application
        self._clock = clock

    def services(self) -> list[str]:
        """The application's services of which there are traces. Raises InfrastructureError."""
        return [service for service in self._jaeger.services() if self._concerns(service)]

    def call_paths(self, low: float, high: float) -> Sequence[CallPath]:
        """Calls of a window added up by path. Raises InfrastructureError."""
        deadline = self._clock() + BUDGET_S
        traces: dict[str, Trace] = {}
        since: dict[str, float] = {}
        for service in self.services():
            if self._clock() > deadline:
                web.refuse(
                    self._jaeger.who,
                    f"the traces of all services take longer than {BUDGET_S:g} s",
                    kind=Unanswered,
                )
            found = self._jaeger.traces(service, low, high)
            traces.update((trace.id, trace) for trace in found)
            cut = len(found) >= TRACES
            since[service] = max(low, min(trace.start for trace in found)) if cut else low
        weighted = (
            (call, weight) for trace in traces.values() for call, weight in _calls(trace, since, low, high)
        )
        return added_up(weighted, low, high)

    def _concerns(self, service: str) -> bool:
        """Whether it is the application's: Istio puts the namespace behind its name."""
        return service.removesuffix(f".{self._application.namespace}") in self._application.workloads


def _calls(
    trace: Trace, since: Mapping[str, float], low: float, high: float
) -> Iterator[tuple[Call[str], float]]:
    """Calls with the number of calls that each stands for. Of a service with too many traces only those from `since`
    on are known; a trace is known from the earliest of its services' times on, and stands for the time before."""
    known = min((since[service] for service in trace.services if service in since), default=low)
    if known <= low:
        weight = 1.0
    elif trace.start >= known:
        weight = (high - low) / max(high - known, SHORTEST_S)
    else:
        return
    for call in calls_of(list(_spans(trace))):
        yield call, weight


def _spans(trace: Trace) -> Iterator[Span[str]]:
    for span in trace.spans:
        tags = {tag.key: tag.value for tag in span.tags or ()}
        outgoing = is_outgoing(str(tags.get("span.kind", "")))
        failed = str(tags.get("error", "")).lower() == "true" or tags.get("otel.status_code") == "ERROR"
        parents = (one.span for one in span.references or () if one.trace == trace.id)
        process = trace.processes.get(span.process)
        yield Span(
            trace=trace.id,
            id=span.id,
            parent=next(parents, ""),
            service=process.service if process is not None else "",
            operation=span.name,
            outgoing=int(outgoing),
            target=target_of({key: str(value) for key, value in tags.items()}) if outgoing else "",
            time=span.start / 1e6,
            ms=span.duration / 1e3,
            failed=int(failed),
            message=str(tags.get("otel.status_description", "")) if failed else "",
        )
