"""What services log, made up on reading from the steady states that were recorded.

Owns: which lines a service writes in a state, and when. Does not own: start-up lines of crashed containers
beyond passing them on. The same world gives the same lines, newest first costs nothing for the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

from harness.environments.simulated.clock import draw
from harness.environments.simulated.flow import Flow
from harness.environments.simulated.noise import blips
from harness.environments.simulated.recorder import PodTrace, Recorder
from harness.telemetry import LogRecord

MAX_RATE = 0.2
"""Lines per second of one kind; collectors sample."""
MIX_RANGE = 2**32
MIX_STEP = 2_654_435_769
"""Fibonacci hashing: successive numbers land far apart."""
HEARTBEATS = {
    "kafka": "[SnapshotGenerator id=1] Creating new KRaft snapshot file (org.apache.kafka.image.publisher)",
    "postgresql": "LOG:  checkpoint complete: wrote 12 buffers (0.1%)",
    "flagd": "flag configuration evaluated",
    "valkey-cart": "* 1 changes in 3600 seconds. Saving...",
}
Severity = Literal["INFO", "WARN", "ERROR"]


class Template(NamedTuple):
    """One kind of line in one steady state."""

    service: str
    rate: float
    severity: Severity
    body: str


@lru_cache(maxsize=256)
def templates(flow: Flow) -> list[Template]:
    """The kinds of lines that are written in a steady state."""
    found = [Template(name, 1 / 300, "INFO", body) for name, body in HEARTBEATS.items()]
    for (name, operation), rate in flow.operations.items():
        if rate > 0 and flow.application.workloads[name].traced:
            found.append(Template(name, min(rate / 10, MAX_RATE / 4), "INFO", f"{operation} handled"))
    for name, operation, rate, message in flow.own_failures:
        found.append(Template(name, min(rate, MAX_RATE), "ERROR", f"{operation}: {message}"))
    for edge in flow.edges:
        if edge.errors > 0 and flow.application.workloads[edge.caller].traced:
            found.append(
                Template(
                    edge.caller, min(edge.errors, MAX_RATE), "ERROR", f"{edge.operation}: {edge.message}"
                )
            )
    return found


def recorded(
    recorder: Recorder,
    seed: int,
    start: float,
    end: float,
    service: str = "",
    pod: str = "",
    contains: str = "",
    limit: int = 200,
    starts: bool = True,
    severity: str = "",
) -> list[LogRecord]:
    """The newest `limit` matching records of a window, oldest first."""
    if not recorder.segments:
        return []
    start = max(start, recorder.segments[0].start)
    wanted = contains.lower()
    streams = [_state_lines(recorder, seed, start, end, service, wanted, limit)]
    if starts:
        streams.append(_start_lines(recorder, start, end, service, wanted))
    streams.extend(_blip_lines(recorder, seed, start, end, service, wanted))
    newest: list[LogRecord] = []
    for stream in streams:  # each is newest first, so that its first `limit` matches are enough
        matching = (r for r in stream if pod in ("", r.pod) and severity in ("", r.severity))
        newest.extend(islice(matching, limit))
    newest.sort(key=lambda record: record.time)
    return newest[-limit:] if limit else []


def _state_lines(
    recorder: Recorder, seed: int, start: float, end: float, service: str, contains: str, batch: int
) -> Iterator[LogRecord]:
    """What the steady states make services write, newest first; made in spans of about `batch` lines."""
    for begin, until, segment in reversed(list(recorder.between(start, end))):
        matching = [
            (template, names)
            for template in (templates(segment.flow) if segment.collecting else ())
            if (not service or template.service == service) and contains in template.body.lower()
            if (names := _writers(segment.pods.get(template.service, ())))
        ]
        rate = sum(template.rate for template, _ in matching)
        while matching and until > begin:
            low = max(begin, until - batch / rate)
            lines = [
                (time, template, names[index % len(names)])
                for template, names in matching
                for time, index in _times(template, seed, low, until)
            ]
            lines.sort(key=lambda line: line[0], reverse=True)
            for time, template, pod in lines:
                yield LogRecord(round(time, 3), template.service, pod, template.severity, template.body)
            until = low


def _writers(pods: tuple[PodTrace, ...]) -> list[str]:
    """The pods that write: the ready ones, or all where none is."""
    return [trace.name for trace in pods if trace.ready] or [trace.name for trace in pods]


def _times(template: Template, seed: int, start: float, end: float) -> Iterator[tuple[float, int]]:
    """When lines are written: once per period, at a place within it that a cheap mix of its number gives."""
    period = 1 / template.rate
    key = int(draw(seed, "log", template.service, template.body) * MIX_RANGE)
    for index in range(int(end // period), int(start // period) - 1, -1):
        mixed = (key + index * MIX_STEP) % MIX_RANGE
        time = (index + (mixed ^ (mixed >> 15)) / MIX_RANGE) * period
        if start <= time < end:
            yield time, index


def _start_lines(
    recorder: Recorder, start: float, end: float, service: str, contains: str
) -> Iterator[LogRecord]:
    for begun in reversed(recorder.starts):
        failed = begun.process.outcome == "exits" and begun.process.exit_code != 0
        for text in begun.process.logs:
            wanted = start <= begun.time < end and (not service or begun.workload == service)
            if wanted and contains in text.lower():
                yield LogRecord(begun.time, begun.workload, begun.pod, "FATAL" if failed else "INFO", text)


def _blip_lines(
    recorder: Recorder, seed: int, start: float, end: float, service: str, contains: str
) -> Iterator[Iterator[LogRecord]]:
    body = "request failed: context canceled"
    if contains not in body:
        return
    for name, workload in recorder.application.workloads.items():
        if workload.traced and (not service or name == service):
            for span in blips(seed, name, start, end):
                segment = recorder.segment_at(span.begin)
                pods = segment.pods.get(name, ()) if segment else ()
                if pods and start <= span.begin < end:
                    yield iter([LogRecord(round(span.begin, 3), name, pods[0].name, "WARN", body)])
