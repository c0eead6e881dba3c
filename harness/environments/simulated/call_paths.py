"""Requests by the path of services that they take: the aggregated traces of steady states.

Owns: walking the call trees of a solved request model, adding up what steady states leave one after the other. Does
not own: rates and outcomes (`request_model.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from harness.environments.simulated.flow import Flow, PathFlow
from harness.environments.simulated.latency import Latency
from harness.telemetry import CallPath

if TYPE_CHECKING:
    from harness.environments.simulated.request_model import Node, Solver

Rows = dict[tuple[tuple[str, ...], str], list[Any]]


def path_flows(solver: Solver) -> Iterator[PathFlow]:
    """Requests by path, from the outermost traced service inwards; parallel equal paths are added up."""
    found: Rows = {}
    for node, rate in solver.roots:
        traced = solver.application.workloads[node[0]].traced
        if traced:
            outcome = solver.outcomes[node]
            _add(found, (node[0],), node[1], rate, rate * outcome.fail, outcome.ok, outcome.message)
        _walk(solver, node, rate, (node[0],) if traced else (), found)
    for (path, operation), (rate, errors, p95, message) in found.items():
        yield PathFlow(path, operation, rate, errors, p95, message)


@lru_cache(maxsize=64)
def aggregated(states: tuple[tuple[Flow, float], ...]) -> Sequence[CallPath]:
    """The traces of (steady state, seconds that it lasts), from the outermost services inwards."""
    found: Rows = {}
    for flow, seconds in states:
        for path in flow.paths:
            row = found.setdefault((path.path, path.operation), [0.0, 0.0, 0.0, ""])
            row[0] += path.rate * seconds
            row[1] += path.errors * seconds
            row[2] = max(row[2], path.p95_ms)
            row[3] = path.message or row[3]
    return tuple(
        CallPath(
            path,
            operation,
            round(row[0], 1),
            round(row[1], 1),
            round(row[2], 1),
            row[3] if row[1] else "",
        )
        for (path, operation), row in sorted(found.items(), key=lambda item: (len(item[0][0]), item[0]))
        if round(row[0], 1) > 0
    )


def _walk(solver: Solver, node: Node, rate: float, path: tuple[str, ...], found: Rows) -> None:
    for call, times, result in solver.outcome(node).calls:
        made = rate * times
        if made <= 0:
            continue
        service, _, operation = call.to.partition("/")
        behind = solver.application.behind(service)
        callee = behind[0] if len(behind) == 1 else service
        slowest = max(result.ok, result.failed, key=lambda ms: ms[1]) if result.fail < 1 else result.failed
        _add(found, (*path, callee), operation, made, made * result.fail, slowest, result.message)
        for target, share in result.reached:
            _walk(solver, target, made * share, (*path, callee), found)


def _add(
    found: Rows, path: tuple[str, ...], operation: str, rate: float, errors: float, ms: Latency, message: str
) -> None:
    row = found.setdefault((path, operation), [0.0, 0.0, 0.0, ""])
    row[0] += rate
    row[1] += errors
    row[2] = max(row[2], ms[1])
    row[3] = row[3] or (message if errors else "")
