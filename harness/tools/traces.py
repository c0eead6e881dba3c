"""The tool that reads traces: `get_trace_error_tree`.

Owns: comparison of call paths before and after a pivot. Does not own: how traces are aggregated to paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.telemetry import CallPath
from harness.tools.base import Args, Json, Time, ToolContext, timestamp, tool

UNITS = {"s": 1, "m": 60, "h": 3600}
ALL_PATHS = 20
CRITICAL_PATHS = 15
SEVERE_ERROR_PCT = 50.0
VANISHED = 0.1
"""A path counts as without traffic below this share of its former requests."""
MIN_REQUESTS = 5.0
"""Fewer requests before the pivot than this say nothing about lost traffic or latency."""
SEVERITY = {"critical": 0, "major": 1, "minor": 2}
NOTHING = CallPath((), "", 0.0, 0.0, 0.0)

Key = tuple[tuple[str, ...], str]


def parse_span(value: Any) -> Any:
    """`5m`, `90s`, `1h` or plain seconds, as seconds. Raises ValueError."""
    if isinstance(value, (int, float)):
        return value
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)\w*", str(value).strip())
    if not match:
        raise ValueError(f"expected a span of time such as 5m, found {value!r}")
    return float(match[1]) * UNITS[match[2] or "s"]


Span = Annotated[float, BeforeValidator(parse_span), WithJsonSchema({"type": "string"}), Field(gt=0)]


class TraceErrorTreeArgs(Args):
    service_name: str = Field(default="", description="only paths through this service")
    pivot_time: Time = Field(default=None, description="RFC3339; default now - delta_time")
    delta_time: Span = Field(default=300.0, description="length of each window, default 5m")
    error_threshold_pct: float = Field(default=10, ge=0)
    latency_threshold_pct: float = Field(default=10, ge=0)


@tool(
    "Call paths of traces before and after a time: errors, lost traffic, latency, suspects.",
    TraceErrorTreeArgs,
    seconds=3.0,
    narrow="name a service",
)
def get_trace_error_tree(context: ToolContext, args: TraceErrorTreeArgs) -> Json:
    """Where requests began to fail."""
    pivot = context.now - args.delta_time if args.pivot_time is None else args.pivot_time
    start, end = pivot - args.delta_time, min(pivot + args.delta_time, context.now)
    pre = _by_key(context.telemetry.call_paths(start, pivot))
    post = _by_key(context.telemetry.call_paths(pivot, end))
    everything = [key for key in dict.fromkeys([*post, *pre]) if args.service_name in ("", *key[0])]
    critical = _deepest([row for key in everything if (row := _critical(key, pre, post, args))])
    critical.sort(key=lambda row: (SEVERITY[row["severity"]], -row["hops"][-1]["errors"], row["path"]))
    before, after = (_totals({key: each[key] for key in everything if key in each}) for each in (pre, post))
    return {
        "window": {"pre": _window(start, pivot), "post": _window(pivot, end)},
        "summary": {
            "pre": before,
            "post": after,
            "delta": {key: round(after[key] - before[key], 2) for key in after},
        },
        "critical_paths": critical[:CRITICAL_PATHS],
        "all_paths": [
            {
                "path": " -> ".join(key[0]),
                "operation": key[1],
                "pre": _figures(pre.get(key, NOTHING)),
                "post": _figures(post.get(key, NOTHING)),
            }
            for key in sorted(everything, key=lambda key: -post.get(key, NOTHING).errors)[:ALL_PATHS]
        ],
    }


def _by_key(paths: Iterable[CallPath]) -> dict[Key, CallPath]:
    return {(path.path, path.operation): path for path in paths}


def _deepest(rows: list[Json]) -> list[Json]:
    """Failing paths without those whose failures a longer failing path explains."""
    failing = [row["path"] for row in rows if row["reason"] == "errors"]
    return [
        row
        for row in rows
        if row["reason"] != "errors" or not any(path.startswith(f"{row['path']} -> ") for path in failing)
    ]


def _window(start: float, end: float) -> Json:
    return {"start": timestamp(start), "end": timestamp(end)}


def _figures(path: CallPath) -> dict[str, float]:
    rate = 100 * path.errors / path.count if path.count else 0.0
    return {
        "requests": round(path.count, 1),
        "errors": round(path.errors, 1),
        "error_rate_pct": round(rate, 2),
        "p95_ms": round(path.p95_ms, 1),
    }


def _totals(paths: Mapping[Key, CallPath]) -> dict[str, float]:
    """Figures of the outermost paths only, so that no request is counted twice."""
    prefixes = {key[0] for key in paths}
    outer = [
        path
        for key, path in paths.items()
        if not any(key[0][:length] in prefixes for length in range(1, len(key[0])))
    ]
    count = sum(path.count for path in outer)
    slowest = max((path.p95_ms for path in outer if path.count), default=0.0)
    return _figures(CallPath((), "", count, sum(path.errors for path in outer), slowest))


def _critical(
    key: Key, pre: Mapping[Key, CallPath], post: Mapping[Key, CallPath], args: TraceErrorTreeArgs
) -> Json | None:
    """A path that became worse or is failing; None for a healthy one."""
    old, new = pre.get(key, NOTHING), post.get(key, NOTHING)
    verdict = _severity(old, new, args)
    if verdict is None:
        return None
    hops = _hops(key, pre, post)
    failing = [hop["service"] for hop in hops if hop["errors"] > 0]
    return {
        "path": " -> ".join(key[0]),
        "operation": key[1],
        "severity": verdict[0],
        "reason": verdict[1],
        "hops": hops,
        "root_cause_suspect": failing[-1] if failing else key[0][-1],
        "sample_errors": [new.sample_error] if new.sample_error else [],
    }


def _severity(old: CallPath, new: CallPath, args: TraceErrorTreeArgs) -> tuple[str, str] | None:
    rate = 100 * new.errors / new.count if new.count else 0.0
    if new.errors and rate >= args.error_threshold_pct:
        return ("critical" if rate >= SEVERE_ERROR_PCT else "major", "errors")
    if old.count >= MIN_REQUESTS and new.count < VANISHED * old.count:
        return ("major", "no_traffic")
    slower = old.count >= MIN_REQUESTS and new.p95_ms > old.p95_ms * (1 + args.latency_threshold_pct / 100)
    return ("minor", "latency") if slower else None


def _hops(key: Key, pre: Mapping[Key, CallPath], post: Mapping[Key, CallPath]) -> list[Json]:
    """Each service on the path with the figures of the path up to it."""
    path, operation = key
    hops = []
    for length in range(1, len(path) + 1):
        old, new = (_upto(paths, path[:length], operation) for paths in (pre, post))
        before, after = _figures(old), _figures(new)
        change = 100 * (new.p95_ms / old.p95_ms - 1) if old.p95_ms and new.p95_ms else 0.0
        hops.append(
            {
                "service": path[length - 1],
                **after,
                "error_rate_change_pct": round(after["error_rate_pct"] - before["error_rate_pct"], 2),
                "p95_change_pct": round(change, 1),
            }
        )
    return hops


def _upto(paths: Mapping[Key, CallPath], path: tuple[str, ...], operation: str) -> CallPath:
    """The figures of a path: of that operation, or else of all operations together."""
    exact = paths.get((path, operation))
    if exact is not None:
        return exact
    found = [each for key, each in paths.items() if key[0] == path]
    slowest = max((each.p95_ms for each in found), default=0.0)
    return CallPath(path, "", sum(each.count for each in found), sum(each.errors for each in found), slowest)
