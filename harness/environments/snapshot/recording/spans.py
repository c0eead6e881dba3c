"""Single traces drawn from the request model, whose answers are rates and distributions.

Owns: arrivals of requests, which call of a request fails given that the request does, durations. Does not own: the
rates (`request_model.py`). Seeded by window, so that a recording can be written piece by piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from random import Random
from typing import NamedTuple

from harness.environments.simulated.flow import Flow
from harness.environments.simulated.latency import Z95, Latency
from harness.environments.simulated.pod_facts import PodTrace
from harness.environments.simulated.recorder import Recorder
from harness.environments.simulated.request_model import CallResult, Node, Outcome
from scenarios.applications.schema import Call

EDGES_MS = ("2", "8", "32", "128", "512", "1500", "4000", "15000", "+Inf")
"""Upper bounds of the buckets of the span metrics."""
NETWORK_MS = 0.2
DATABASES = frozenset({"postgresql", "valkey-cart"})


class Span(NamedTuple):
    """One recorded span."""

    trace: str
    id: str
    parent: str
    time: float
    ms: float
    service: str
    pod: str
    operation: str
    kind: str
    failed: bool
    message: str
    attributes: Mapping[str, str]


class Counters:
    """Span metrics of everything recorded so far."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], int] = {}
        self.durations: dict[str, list[int]] = {}

    def add(self, span: Span) -> None:
        """Count a span."""
        status = "STATUS_CODE_ERROR" if span.failed else "STATUS_CODE_UNSET"
        self.calls[span.service, status] = self.calls.get((span.service, status), 0) + 1
        if span.kind == "Server":
            counts = self.durations.setdefault(span.service, [0] * len(EDGES_MS))
            for place, edge in enumerate(EDGES_MS):
                counts[place] += span.ms <= float(edge)


def spans_of(recorder: Recorder, seed: int, begin: float, end: float, scale: float) -> Iterator[Span]:
    """Spans of all requests that arrive in a window, `scale` times as many as there really are."""
    for start, until, segment in recorder.between(begin, end):
        if not segment.collecting:
            continue
        drawn = Draw(segment.flow, segment.pods, Random(f"{seed}/spans/{start}"))
        for node, rate in segment.flow.solver.roots:
            for time in _arrivals(rate * scale, start, until, drawn.random):
                yield from drawn.request(node, time)


def _arrivals(rate: float, start: float, end: float, random: Random) -> Iterator[float]:
    time = start + random.expovariate(rate)
    while time < end:
        yield time
        time += random.expovariate(rate)


class Draw:
    """Draws traces from one steady state."""

    def __init__(self, flow: Flow, pods: Mapping[str, tuple[PodTrace, ...]], random: Random) -> None:
        self.flow = flow
        self.random = random
        self._pods = {name: [pod.name for pod in found if pod.ready] for name, found in pods.items()}
        self._trace = ""
        self._spans: list[Span] = []

    def request(self, node: Node, time: float) -> list[Span]:
        """All spans of one request that starts at a node."""
        self._spans = []
        self._trace = f"{self.random.getrandbits(128):032x}"
        fails = self.random.random() < self.flow.solver.outcome(node).fail
        self._execute(node, time, "", fails)
        return self._spans

    def _execute(self, node: Node, begin: float, parent: str, fails: bool) -> float:
        """Spans of one execution; when it ends."""
        name, operation, _ = node
        outcome = self.flow.solver.outcome(node)
        workload = self.flow.application.workloads[name]
        own = self._id() if workload.traced else ""
        time = begin + self._duration(_own_time(outcome)) / 1000
        for call, result, failed in self._calls(outcome, fails):
            time = self._call(name, call, result, failed, time, own)
        if workload.traced:
            kind = "Consumer" if workload.operations[operation].consumes else "Server"
            message = outcome.message if fails else ""
            self._add(own, parent, begin, time, name, operation, kind, fails, message, {})
        return time

    def _call(
        self, caller: str, call: Call, result: CallResult, failed: bool, begin: float, parent: str
    ) -> float:
        """Spans of one call; when the caller goes on."""
        callee, _, operation = call.to.partition("/")
        own = self._id() if parent else ""
        target = self._receiver(result, failed)
        behind = self.flow.application.behind(callee)
        callee = behind[0] if len(behind) == 1 else callee
        end = begin + self._duration(result.failed if failed else result.ok) / 1000
        if target is not None and self.flow.application.workloads[target[0]].traced:
            outcome = self.flow.solver.outcome(target)
            share = outcome.fail / result.fail if failed else 0.0
            fails = failed and self.random.random() < share
            answered = self._execute(target, begin + NETWORK_MS / 1000, own, fails)
            late = failed and not fails
            way_ms = NETWORK_MS + max(
                0.0, result.ok[0] - outcome.ok[0]
            )  # a slow network slows the caller only
            end = begin + call.timeout_ms / 1000 if late else answered + way_ms / 1000
        if parent:
            kind = "Producer" if callee in self._brokers else "Client"
            message = result.message if failed else ""
            attributes = {"server.address": callee, "server.port": str(call.port), "rpc.method": operation}
            if callee in DATABASES:
                attributes["db.system"] = callee.partition("-")[0]
            self._add(own, parent, begin, end, caller, operation, kind, failed, message, attributes)
        return end

    @property
    def _brokers(self) -> set[str]:
        workloads = self.flow.application.workloads.values()
        operations = (operation for workload in workloads for operation in workload.operations.values())
        return {operation.consumes.partition("/")[0] for operation in operations if operation.consumes}

    def _receiver(self, result: CallResult, failed: bool) -> Node | None:
        """Who receives a call; None when nobody does."""
        reached = sum(share for _, share in result.reached)
        if not result.reached or (failed and self.random.random() < (1 - reached) / result.fail):
            return None
        place = self.random.random() * reached
        for node, share in result.reached:
            place -= share
            if place <= 0:
                return node
        return result.reached[-1][0]

    def _calls(self, outcome: Outcome, fails: bool) -> Iterator[tuple[Call, CallResult, bool]]:
        """The calls of one execution with their fates, given whether the execution fails."""
        culprit = self._culprit(outcome) if fails else None
        if fails and culprit is None:
            return
        for place, (call, _, result) in enumerate(outcome.calls):
            for number in range(self._count(call.times)):
                failed = place == culprit and number == 0
                if call.on_error == "ignore":
                    failed = self.random.random() < result.fail
                yield call, result, failed
                if failed and call.on_error == "stop":
                    return

    def _culprit(self, outcome: Outcome) -> int | None:
        """Which call makes an execution fail; None when it fails by itself, before any call."""
        weights = []
        for call, made, result in outcome.calls:
            any_fails = 1 - (1 - result.fail) ** max(1.0, call.times)
            weights.append(0.0 if call.on_error == "ignore" else made / call.times * any_fails)
        own = max(0.0, outcome.fail - sum(weights)) if outcome.calls else outcome.fail
        place = self.random.random() * (own + sum(weights)) - own
        if place < 0 or not any(weights):
            return None
        for number, weight in enumerate(weights):
            place -= weight
            if place <= 0 < weight:
                return number
        return max(range(len(weights)), key=weights.__getitem__)

    def _count(self, times: float) -> int:
        return int(times) + (self.random.random() < times % 1)

    def _duration(self, latency: Latency) -> float:
        """Milliseconds drawn from a log-normal distribution."""
        median, p95 = latency
        if median <= 0:
            return 0.0
        sigma = math.log(max(p95 / median, 1.001)) / Z95
        return self.random.lognormvariate(math.log(median), sigma)

    def _id(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def _add(
        self, own: str, parent: str, begin: float, end: float, service: str, operation: str, kind: str,
        failed: bool, message: str, attributes: Mapping[str, str],
    ) -> None:  # fmt: skip
        pods = self._pods.get(service) or [service]
        pod = pods[int(own[:4], 16) % len(pods)]
        ms = (end - begin) * 1000
        self._spans.append(
            Span(
                self._trace,
                own,
                parent,
                begin,
                ms,
                service,
                pod,
                operation,
                kind,
                failed,
                message,
                attributes,
            )
        )


def _own_time(outcome: Outcome) -> Latency:
    """What an execution spends outside its calls: its time without theirs."""
    median, variance = outcome.ok[0], (outcome.ok[1] - outcome.ok[0]) ** 2
    for call, _, result in outcome.calls:
        median -= call.times * result.ok[0]
        variance -= call.times * (result.ok[1] - result.ok[0]) ** 2
    median = max(median, 0.2)
    return median, median + math.sqrt(max(variance, 0.0))
