"""The flow of requests: rates, errors and latency of every service, edge and path in a steady state.

Owns: the value types and `flow_of`, which computes each steady state once per process. Does not own: how they
follow from the application (`request_model.py`), reading objects (`view.py`) or time (`recorder.py`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from harness.environments.simulated.latency import Latency, above
from harness.environments.simulated.signature import Signature
from scenarios.applications.schema import Application

Mixture = tuple[tuple[float, Latency], ...]
"""(requests per second, latency) of each kind of request."""


class ServiceFlow(NamedTuple):
    """One workload's requests and spans per second."""

    requests: float = 0.0
    errors: float = 0.0
    """Requests that failed."""
    error_spans: float = 0.0
    """Failed spans of any kind: requests and outgoing calls."""
    ok_spans: float = 0.0
    """Spans of any kind that did not fail."""
    cpu_m: float = 0.0
    """Millicores that its pods ask for beyond idling, all together."""
    latencies: Mixture = ()
    """(requests per second, latency) of each kind of request."""
    forwarded: float = 0.0
    """Successful calls that it makes; a gateway's count when the mesh carries them."""
    connections: float = 0.0
    """Connections to it that the mesh sees."""

    def slow_share(self, threshold_ms: float) -> float:
        """Share of requests that take longer."""
        return _slow_share(self.latencies, threshold_ms)

    def percentile(self, share: float) -> float:
        """Milliseconds that `share` of the requests stay below; 0 without requests."""
        return _percentile(self.latencies, share)


class EdgeFlow(NamedTuple):
    """Calls of one operation to another, per second."""

    caller: str
    operation: str
    callee: str
    rate: float
    errors: float
    message: str
    """What the caller writes when the call fails."""


class ConsumerFlow(NamedTuple):
    """A consumer group of a topic."""

    produced: float
    capacity: float
    """Messages per second that its members manage."""
    members: int
    closing: bool
    """Members keep losing their connection to the broker."""


class PathFlow(NamedTuple):
    """Requests per second along one path of services."""

    path: tuple[str, ...]
    operation: str
    rate: float
    errors: float
    p95_ms: float
    message: str


class Flow:
    """A steady state. Pickles as its inputs; equal inputs give the same object within a process."""

    def __init__(self, application: Application, signature: Signature) -> None:
        self.application = application
        self.signature = signature
        from harness.environments.simulated.request_model import Solver

        solver = Solver(application, signature)
        self.services: dict[str, ServiceFlow] = solver.services()
        self.edges: tuple[EdgeFlow, ...] = solver.edge_flows()
        self.consumers: dict[str, ConsumerFlow] = solver.consumers
        self.own_failures: tuple[tuple[str, str, float, str], ...] = tuple(solver.own_failures())
        self.operations: dict[tuple[str, str], float] = solver.operation_rates()
        self.solver = solver
        """Outcome of every operation, for who needs single requests."""
        self._paths: tuple[PathFlow, ...] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (flow_of, (self.application, self.signature))

    def edge_rate(self, caller: str, callee: str) -> float:
        """Calls per second between two workloads, failed ones included."""
        return sum(
            edge.rate
            for edge in self.edges
            if edge.caller == caller and edge.callee.partition("/")[0] == callee
        )

    @property
    def paths(self) -> tuple[PathFlow, ...]:
        """Requests by path of services."""
        if self._paths is None:
            from harness.environments.simulated.call_paths import path_flows

            self._paths = tuple(path_flows(self.solver))
        return self._paths


@lru_cache(maxsize=256)
def flow_of(application: Application, signature: Signature) -> Flow:
    """The flow that follows from a signature."""
    return Flow(application, signature)


@lru_cache(maxsize=4096)
def _slow_share(latencies: Mixture, threshold_ms: float) -> float:
    total = sum(rate for rate, _ in latencies)
    return sum(rate * above(threshold_ms, ms) for rate, ms in latencies) / total if total else 0.0


@lru_cache(maxsize=4096)
def _percentile(latencies: Mixture, share: float) -> float:
    low, high = 0.0, max((ms[1] for _, ms in latencies), default=0.0) * 4
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if _slow_share.__wrapped__(latencies, middle) > 1 - share else (low, middle)
        )
    return high
