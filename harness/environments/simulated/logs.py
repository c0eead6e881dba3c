"""What services log, made up on reading from the steady states that were recorded.

Owns: which lines a service writes in a state, and when. Does not own: start-up lines of crashed containers
beyond passing them on. The same world gives the same lines; only those that are asked for are made, and runs of
lines are kept, because all trials of one incident read the same ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from operator import itemgetter
from typing import Literal, NamedTuple

from harness.environments.simulated.clock import draw
from harness.environments.simulated.flow import Flow
from harness.environments.simulated.noise import blips
from harness.environments.simulated.recorder import Recorder, Writers
from harness.telemetry import LogRecord

MAX_RATE = 0.2
"""Lines per second of one kind; collectors sample."""
RUN_LINES = 128
"""Lines of a steady state that are made and kept together."""
MIX_RANGE = 2**32
MIX_STEP = 2_654_435_769
"""Fibonacci hashing: successive numbers land far apart."""
ROUNDING_S = 0.001
"""By how much the time of a record may differ from the exact one."""
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


class Run(NamedTuple):
    """Consecutive lines, newest first."""

    ages: list[float]
    """The negated exact time of each, ascending."""
    records: list[LogRecord]

    def between(self, start: float, end: float) -> list[LogRecord]:
        """The records of a window."""
        ages = self.ages
        first = bisect_right(ages, -end) if ages and ages[0] <= -end else 0
        last = bisect_left(ages, -start) if ages and ages[-1] > -start else len(ages)
        return self.records[first:last] if last - first < len(ages) else self.records


class Stream:
    """What services write in one steady state, as far as one reader is concerned."""

    def __init__(
        self, flow: Flow, writers: Writers, seed: int, service: str, pod: str, contains: str, severity: str
    ) -> None:
        self.rate = 0.0
        """Lines per second."""
        self._kinds: list[tuple[float, int, tuple[str, ...], Template]] = []
        """(period, start of the mix, pods that take turns, template)."""
        writing = dict(writers)
        for template in templates(flow):
            pods = writing.get(template.service, ())
            wanted = service in ("", template.service) and severity in ("", template.severity)
            if wanted and pods and pod in ("", *pods) and contains in template.body.lower():
                key = int(draw(seed, "log", template.service, template.body) * MIX_RANGE)
                self._kinds.append((1 / template.rate, key, pods, template))
                self.rate += template.rate

    def lines(self, start: float, end: float) -> Iterator[list[LogRecord]]:
        """The lines of a window, newest first, in parts that may be shared."""
        if not self._kinds:
            return
        span = RUN_LINES / self.rate
        if end - start < span:
            yield _run(self, start, end).records
            return
        for number in range(int(end // span), int(start // span) - 1, -1):
            yield _run(self, number * span, (number + 1) * span).between(start, end)

    def made(self, start: float, end: float) -> Run:
        """Lines of a window: each kind once per period, at a place within it that a cheap mix of the period's number
        gives."""
        found: list[tuple[float, LogRecord]] = []
        for period, key, pods, (service, _, severity, body) in self._kinds:
            for index in range(int(end // period), int(start // period) - 1, -1):
                mixed = (key + index * MIX_STEP) % MIX_RANGE
                time = (index + (mixed ^ (mixed >> 15)) / MIX_RANGE) * period
                if start <= time < end:
                    pod = pods[index % len(pods)]
                    found.append((-time, LogRecord(round(time, 3), service, pod, severity, body)))
        found.sort(key=itemgetter(0))
        return Run([age for age, _ in found], [record for _, record in found])


@lru_cache(maxsize=1024)
def _stream(
    flow: Flow, writers: Writers, seed: int, service: str, pod: str, contains: str, severity: str
) -> Stream:
    return Stream(flow, writers, seed, service, pod, contains, severity)


@lru_cache(maxsize=1024)
def _run(stream: Stream, start: float, end: float) -> Run:
    return stream.made(start, end)


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
    if not recorder.segments or not limit:
        return []
    start, wanted = max(start, recorder.segments[0].start), contains.lower()
    newest: list[LogRecord] = []
    for lines in _state_lines(recorder, seed, start, end, service, pod, wanted, severity):
        newest += [record for record in lines if record.pod == pod] if pod else lines
        if len(newest) >= limit:
            break
    del newest[limit:]
    if len(newest) == limit:
        start = max(start, newest[-1].time - ROUNDING_S)  # older ones would not be among the newest
    streams = _blip_lines(recorder, seed, start, end, service, wanted)
    if starts:
        streams = chain([_start_lines(recorder, start, end, service, wanted)], streams)
    for stream in streams:  # each is newest first, so that its first `limit` matches are enough
        matching = (r for r in stream if pod in ("", r.pod) and severity in ("", r.severity))
        newest.extend(islice(matching, limit))
    newest.sort(key=itemgetter(0))
    return newest[-limit:]


def _state_lines(
    recorder: Recorder,
    seed: int,
    start: float,
    end: float,
    service: str,
    pod: str,
    wanted: str,
    severity: str,
) -> Iterator[list[LogRecord]]:
    """What the steady states make services write, newest first."""
    for begin, until, segment in reversed(list(recorder.between(start, end))):
        if segment.collecting:
            stream = _stream(segment.flow, segment.writers_of(service), seed, service, pod, wanted, severity)
            yield from stream.lines(begin, until)


def _start_lines(
    recorder: Recorder, start: float, end: float, service: str, contains: str
) -> Iterator[LogRecord]:
    for begun in reversed(recorder.starts):
        if begun.time < start:
            return
        failed = begun.process.outcome == "exits" and begun.process.exit_code != 0
        for text in begun.process.logs:
            wanted = begun.time < end and (not service or begun.workload == service)
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
