"""The request model: who serves whom, with which failures and latency, from a signature and nothing else.

Owns: propagation of requests, failures and latency through ordered call trees, time-outs, saturation, message
consumers. Does not own: what is kept of the result (`flow.py`). All rates are per second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from harness.environments.simulated.addresses import Addresses
from harness.environments.simulated.barriers import barrier
from harness.environments.simulated.disturbances import amount, between
from harness.environments.simulated.effects import Effects
from harness.environments.simulated.flow import ConsumerFlow, EdgeFlow, ServiceFlow
from harness.environments.simulated.latency import NEGLIGIBLE, Latency, above, after, capped, mixed
from harness.environments.simulated.signature import Signature, Variant
from scenarios.applications.schema import Application, Call, Operation

TAIL = 3.0
"""95th percentile of an operation's own time, in medians."""
SATURATED = 0.95
"""Share of a processor limit above which requests queue."""
Node = tuple[str, str, Variant]
"""Workload, operation, variant of the pod that executes it."""


class CallResult(NamedTuple):
    """What a caller experiences when it makes a call."""

    fail: float
    ok: Latency
    failed: Latency
    message: str
    reached: tuple[tuple[Node, float], ...]
    """Who receives the call, and which share of it."""


class Outcome(NamedTuple):
    """What happens when an operation is executed."""

    fail: float
    ok: Latency
    failed: Latency
    message: str
    calls: tuple[tuple[Call, float, CallResult], ...]
    """Calls with the number made per execution."""


class Solver:
    """Works a signature out: outcomes bottom-up, rates top-down, twice when something saturates."""

    def __init__(self, application: Application, signature: Signature) -> None:
        self.application = application
        self.pods = dict(signature.pods)
        self.addresses = Addresses(application, signature)
        self.effects = Effects(application)
        self.strain_ms = signature.strain_ms
        self.delay: dict[tuple[str, Variant], float] = {}
        self._solve()
        if self._saturate():
            self._solve()

    def _solve(self) -> None:
        self.outcomes: dict[Node, Outcome] = {}
        self.rates: dict[Node, float] = {}
        self.edges: dict[tuple[str, str, str], list[Any]] = {}
        self.consumers: dict[str, ConsumerFlow] = {}
        self.published: dict[str, float] = {}
        self.forwarded: dict[str, float] = {}
        self.connections: dict[str, float] = {}
        self.roots: list[tuple[Node, float]] = []
        for name, workload in self.application.workloads.items():
            for operation_name, operation in workload.operations.items():
                if operation.per_second:
                    self._originate(name, operation_name, operation)
        for name, workload in self.application.workloads.items():
            for operation_name, operation in workload.operations.items():
                if operation.consumes:
                    self._consume(name, operation_name, operation)

    # --- who starts requests

    def _originate(self, name: str, operation_name: str, operation: Operation) -> None:
        for variant, count in self.pods.get(name, ()):
            env = variant.env_map
            extra = self.effects.amount(name, operation_name, variant, "extra_rate")
            wanted = all(env.get(key) == value for key, value in operation.when.items())
            if variant.serves and (wanted or extra):
                self._start((name, operation_name, variant), count * (operation.per_second * wanted + extra))

    def _consume(self, name: str, operation_name: str, operation: Operation) -> None:
        capacity, members, closing = 0.0, 0, False
        parts: list[tuple[Variant, float]] = []
        for variant, count in self.pods.get(name, ()):
            backends, _ = self.addresses.resolve(variant, operation.address, operation.consumes, 9092)
            backends = tuple(b for b in backends if self._connected(variant, b.variant))
            if not variant.serves or not backends:
                closing = closing or variant.serves
                continue
            spent = self.effects.amount(name, operation_name, variant, "message_ms")
            manages = count * min(operation.per_second_limit, 1000 / spent if spent else math.inf)
            parts.append((variant, manages))
            capacity, members = capacity + manages, members + count
        produced = self.published.get(operation.consumes, 0.0)
        self.consumers[name] = ConsumerFlow(produced, capacity, members, closing)
        for variant, manages in parts:
            share = min(produced, capacity) * manages / capacity
            if share:
                self._start((name, operation_name, variant), share)

    def _start(self, node: Node, rate: float) -> None:
        self.roots.append((node, rate))
        self._spread(node, rate)

    def _spread(self, node: Node, rate: float) -> None:
        self.rates[node] = self.rates.get(node, 0.0) + rate
        name, operation, variant = node
        for call, times, result in self.outcome(node).calls:
            made = rate * times
            if made <= 0:
                continue
            edge = self.edges.setdefault((name, operation, call.to), [0.0, 0.0, ""])
            edge[0] += made
            edge[1] += made * result.fail
            edge[2] = edge[2] or (result.fail and call.error.format(cause=result.message)) or ""
            copies = 1 + self.effects.amount(name, operation, variant, "extra_messages")
            self.published[call.to] = self.published.get(call.to, 0.0) + made * (1 - result.fail) * copies
            meshed = sum(share for callee, share in result.reached if callee[2].mesh)
            carried = meshed if variant.mesh == "gateway" else 1.0
            self.forwarded[name] = self.forwarded.get(name, 0.0) + made * (1 - result.fail) * carried
            for callee, share in result.reached:
                if callee[2].mesh:
                    opened = self.connections.get(callee[0], 0.0)
                    self.connections[callee[0]] = opened + made * share
                self._spread(callee, made * share)

    # --- what happens to a request

    def outcome(self, node: Node) -> Outcome:
        """What happens when a pod of this variant executes the operation."""
        known = self.outcomes.get(node)
        if known is None:
            known = self.outcomes[node] = self._execute(node)
        return known

    def _execute(self, node: Node) -> Outcome:
        name, operation_name, variant = node
        operation = self.application.workloads[name].operations[operation_name]
        median = operation.ms + self.effects.amount(name, operation_name, variant, "latency_ms")
        tail = median * (TAIL - 1) if median == operation.ms else operation.ms * 2 + median * 0.1
        tail += self.effects.amount(name, operation_name, variant, "tail_ms")
        median += self.delay.get((name, variant), 0.0) + self.strain_ms
        median += amount(variant.disturbances, "slow")
        spent: Latency = (median, median + tail)
        own, message = self.effects.own_failure(name, operation_name, variant)
        failures, alive, reported = [(own, spent)], 1.0 - own, 0.0
        calls = []
        for call in operation.calls:
            if alive <= 0:
                break
            result = self._call(name, variant, call)
            calls.append((call, alive * call.times, result))
            any_fails = 1 - (1 - result.fail) ** max(1.0, call.times)
            if any_fails and call.on_error != "ignore":
                message = message or call.error.format(cause=result.message)
            if call.on_error == "stop":
                failures.append((alive * any_fails, after(spent, result.failed)))
                alive *= 1 - any_fails
            elif call.on_error == "report":
                reported = 1 - (1 - reported) * (1 - any_fails)
            share = 0.0 if call.on_error == "stop" else result.fail
            spent = after(spent, mixed([(1 - share, result.ok), (share, result.failed)]), call.times)
        failures.append((alive * reported, spent))
        fail = sum(weight for weight, _ in failures)
        fail = min(1.0, fail) if fail > NEGLIGIBLE else 0.0
        return Outcome(fail, spent, mixed(failures), message, tuple(calls))

    def _call(self, caller: str, variant: Variant, call: Call) -> CallResult:
        invalid = self.effects.unreachable(caller, variant, call.to)
        backends, reason = (
            ((), invalid) if invalid else self.addresses.resolve(variant, call.address, call.to, call.port)
        )
        if not backends:
            return CallResult(1.0, (1.0, 2.0), (1.0, 3.0), reason, ())
        workload, _, operation = call.to.partition("/")
        total = sum(backend.pods for backend in backends)
        served, refused, reached, message = [], [], [], ""
        for backend in backends:
            share = backend.pods / total
            stopped = barrier(self.addresses, caller, variant, call, backend)
            if stopped is not None:
                message = message or stopped[1]
                refused.append((share, capped(stopped[0], call.timeout_ms)))
                continue
            delay, lost = between(variant.disturbances, backend.variant.disturbances)
            if lost:
                message = message or self._timed_out(variant, call)
                refused.append((share * lost, (call.timeout_ms, call.timeout_ms * 1.01)))
                share *= 1 - lost
            if not share:
                continue
            node = (backend.workload, operation, backend.variant)
            result = self.outcome(node)
            reached.append((node, share))
            answered = after(result.ok, (delay, delay))
            late = above(call.timeout_ms, answered)
            served.append((share * (1 - result.fail) * (1 - late), capped(answered, call.timeout_ms)))
            refused.append((share * result.fail, capped(result.failed, call.timeout_ms)))
            refused.append((share * (1 - result.fail) * late, (call.timeout_ms, call.timeout_ms * 1.01)))
            message = message or result.message
            if late and not result.fail:
                waited = f"no answer within {call.timeout_ms:.0f} ms"
                message = f"rpc error: code = DeadlineExceeded desc = {workload}: {waited}"
        fail = sum(weight for weight, _ in refused)
        fail = min(1.0, fail) if fail > NEGLIGIBLE else 0.0
        return CallResult(fail, mixed(served), mixed(refused), message, tuple(reached))

    def _timed_out(self, variant: Variant, call: Call) -> str:
        host, port = self.addresses.target(variant, call.address, call.port)
        return f"Unavailable: dial tcp {host}:{port}: i/o timeout"

    def _connected(self, caller: Variant, callee: Variant) -> bool:
        """Whether two pods can keep a connection up."""
        return between(caller.disturbances, callee.disturbances)[1] < 1

    # --- load

    def _demands(self) -> dict[tuple[str, Variant], float]:
        """Millicores that each group of alike pods asks for beyond idling."""
        demands = {
            (name, variant): count
            * (self.effects.amount(name, "", variant, "cpu_m") + amount(variant.disturbances, "cpu"))
            for name, groups in self.pods.items()
            for variant, count in groups
        }
        for (name, _, variant), rate in self.rates.items():
            cost = rate * self.application.workloads[name].cpu_ms_per_request
            demands[name, variant] = demands.get((name, variant), 0.0) + cost
        return demands

    def _saturate(self) -> bool:
        counts = {(name, variant): n for name, groups in self.pods.items() for variant, n in groups}
        for (name, variant), demand in self._demands().items():
            workload = self.application.workloads[name]
            bound = min(variant.cpu_limit_m or math.inf, workload.cores * 1000 or math.inf)
            idle = workload.cpu_m
            use = (demand / max(1, counts.get((name, variant), 1)) + idle) / bound
            if use > SATURATED:
                self.delay[name, variant] = min(20_000.0, (use - SATURATED) * 8_000)
        return bool(self.delay)

    # --- results

    def services(self) -> dict[str, ServiceFlow]:
        """Every workload's requests and spans."""
        sums: dict[str, list[Any]] = {
            name: [0.0, 0.0, 0.0, 0.0, 0.0, []] for name in self.application.workloads
        }
        for (name, operation, variant), rate in self.rates.items():
            outcome, row = self.outcomes[name, operation, variant], sums[name]
            failed = rate * outcome.fail
            row[0] += rate
            row[1] += failed
            row[2] += failed
            row[3] += rate - failed + (rate if self.application.workloads[name].internal_spans else 0.0)
            row[5] += [
                (part, ms) for part, ms in ((rate - failed, outcome.ok), (failed, outcome.failed)) if part > 0
            ]
        for (caller, _, _), (made, failed, _) in self.edges.items():
            sums[caller][2] += failed
            sums[caller][3] += made - failed
        for (name, _), demand in self._demands().items():
            sums[name][4] += demand
        return {
            name: ServiceFlow(
                requests=row[0],
                errors=row[1],
                error_spans=row[2],
                ok_spans=row[3],
                cpu_m=row[4],
                latencies=tuple(row[5]),
                forwarded=self.forwarded.get(name, 0.0),
                connections=self.connections.get(name, 0.0),
            )
            for name, row in sums.items()
        }

    def operation_rates(self) -> dict[tuple[str, str], float]:
        """(workload, operation) -> executions per second."""
        rates: dict[tuple[str, str], float] = {}
        for (name, operation, _), rate in self.rates.items():
            rates[name, operation] = rates.get((name, operation), 0.0) + rate
        return rates

    def own_failures(self) -> Iterable[tuple[str, str, float, str]]:
        """(workload, operation, failures per second, message) of failures that are the workload's own."""
        for (name, operation, variant), rate in self.rates.items():
            share, message = self.effects.own_failure(name, operation, variant)
            if share * rate > 0:
                yield name, operation, rate * share, message

    def edge_flows(self) -> tuple[EdgeFlow, ...]:
        """All calls that are made."""
        return tuple(EdgeFlow(*key, *value) for key, value in self.edges.items())
