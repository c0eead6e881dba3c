"""Spans of one trace, and the calls that they show: who called whom through whom.

Owns: the path of services that leads to a call, whom a client span called. Does not own: where spans are stored,
adding calls up.

A *call* is what a caller sees: its client span and the server span behind it are one call. A span whose parent was
not recorded begins a path. Names are texts, or numbers that stand for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

TARGETS = (
    "peer.service",
    "server.address",
    "net.peer.name",
    "messaging.system",
    "db.system.name",
    "db.system",
)
"""Attributes of a client span that name whom it called, where no server span says it; the first one counts."""
_TARGET = re.compile(rf"""['"]({"|".join(map(re.escape, TARGETS))})['"]\s*:\s*['"]([\w-]+)""")
_LABEL = re.compile(r"[\w-]+")
Name = TypeVar("Name", bound=int | str)


class Span(NamedTuple, Generic[Name]):
    """One span. `outgoing` and `failed` are 0 or 1."""

    trace: str
    id: str
    parent: str
    service: Name
    operation: Name
    outgoing: int
    target: Name
    time: float
    ms: float
    failed: int
    message: str


class Call(NamedTuple, Generic[Name]):
    """One call along a path."""

    path: tuple[Name, ...]
    operation: Name
    time: float
    ms: float
    failed: bool
    message: str


def is_outgoing(kind: str) -> bool:
    """Whether a span of this kind is a caller's: `Client`, `SPAN_KIND_PRODUCER`, ..."""
    return kind.lower().removeprefix("span_kind_") in ("client", "producer")


def target_in(attributes: str) -> str:
    """The first label of the name of whom a client span called, from its attributes written as a map or as JSON;
    empty where nothing says it."""
    return _first(_TARGET.findall(attributes))


def target_of(attributes: Mapping[str, str]) -> str:
    """The same from the attributes themselves."""
    labels = ((key, _LABEL.match(attributes[key])) for key in TARGETS if key in attributes)
    return _first((key, found[0]) for key, found in labels if found)


def _first(known: Iterable[tuple[str, str]]) -> str:
    by_key = dict(known)
    return next((by_key[key] for key in TARGETS if key in by_key), "")


def calls_of(spans: Sequence[Span[Name]]) -> Iterator[Call[Name]]:
    """The calls of one trace."""
    by_id = {span.id: span for span in spans}
    answered = {
        span.parent for span in spans if span.parent in by_id and by_id[span.parent].service != span.service
    }
    paths: dict[str, tuple[Name, ...]] = {}
    for span in spans:
        parent = by_id.get(span.parent)
        path = _path(span, by_id, paths)
        if parent is None or parent.service != span.service:
            caller = parent if parent is not None and parent.outgoing else span
            failed = bool(span.failed or caller.failed)
            yield Call(path, span.operation, caller.time, caller.ms, failed, span.message or caller.message)
        if span.outgoing and span.target and span.id not in answered:
            yield Call(
                (*path, span.target), span.operation, span.time, span.ms, bool(span.failed), span.message
            )


def _path(
    span: Span[Name], by_id: Mapping[str, Span[Name]], paths: dict[str, tuple[Name, ...]]
) -> tuple[Name, ...]:
    """Services from the outermost recorded span of the trace to this one, without repetitions in a row."""
    waiting: list[Span[Name]] = []
    seen: set[str] = set()
    at: Span[Name] | None = span
    while at is not None and at.id not in paths and at.id not in seen:
        waiting.append(at)
        seen.add(at.id)
        at = by_id.get(at.parent)
    path: tuple[Name, ...] = paths.get(at.id, ()) if at is not None else ()
    for one in reversed(waiting):
        if not path or path[-1] != one.service:
            path = (*path, one.service)
        paths[one.id] = path
    return path
