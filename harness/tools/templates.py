"""Patterns of log lines: a small template miner in the manner of Drain.

Owns: masking of what varies and merging of lines that resemble each other. Does not own: where lines
come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from harness.telemetry import LogRecord

MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "<uuid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<ip>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.I), "<hex>"),
    (re.compile(r"(?<![A-Za-z_-])\d+(?:\.\d+)?"), "<num>"),
)
WILDCARD = "<*>"
EXAMPLE_CHARACTERS = 500


@dataclass(slots=True)
class Pattern:
    """Log lines of one shape and severity."""

    tokens: list[str]
    severity: str
    first: LogRecord
    last: LogRecord
    count: int = 0
    services: dict[str, None] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """The shape with what varies masked."""
        return " ".join(self.tokens)[:EXAMPLE_CHARACTERS]


@lru_cache(maxsize=16_384)
def masked(body: str) -> tuple[str, ...]:
    """The tokens of a line with ids, addresses and numbers masked."""
    for pattern, name in MASKS:
        body = pattern.sub(name, body)
    return tuple(body.split())


def mine(records: Iterable[LogRecord], similarity: float) -> list[Pattern]:
    """Group records; lines of equal length merge when at least `similarity` of their tokens agree."""
    exact: dict[tuple[str, tuple[str, ...]], Pattern] = {}
    shapes: dict[tuple[str, int], list[Pattern]] = {}
    for record in records:
        tokens = masked(record.body)
        pattern = exact.get((record.severity, tokens))
        if pattern is None:
            bucket = shapes.setdefault((record.severity, len(tokens)), [])
            pattern = _nearest(bucket, tokens, similarity)
            if pattern is None:
                pattern = Pattern(list(tokens), record.severity, record, record)
                bucket.append(pattern)
            exact[record.severity, tokens] = pattern
        pattern.last = record
        pattern.count += 1
        pattern.services[record.service] = None
    return [pattern for bucket in shapes.values() for pattern in bucket]


def _nearest(bucket: list[Pattern], tokens: tuple[str, ...], similarity: float) -> Pattern | None:
    """The first pattern that is close enough, generalised to cover the tokens."""
    for pattern in bucket:
        equal = sum(mine == theirs for mine, theirs in zip(pattern.tokens, tokens, strict=True))
        if tokens and equal / len(tokens) >= similarity:
            pattern.tokens = [
                mine if mine == theirs else WILDCARD
                for mine, theirs in zip(pattern.tokens, tokens, strict=True)
            ]
            return pattern
    return None
