"""The same incident from a recording and from ClickHouse: a recording's tables, put back where they come from, tell
an agent the same."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.environments.kubernetes.sources.tables import LogTable, SpanTable
from harness.environments.snapshot.cache import ensure_index
from harness.environments.snapshot.index import Index, open_index
from harness.telemetry import CallPath, LogRecord
from tests.snapshot.conftest import Recorded
from tests.sources.engines import Engine
from tests.sources.layout import LOGS, TRACES

BATCH = 5000
BUCKET_S = 15
"""A recording's windows are exact to this."""


@pytest.fixture
def index(recorded: Recorded, engine: Engine) -> Index:
    """The recording's index; the engine has its tables."""
    for table, file in ((LOGS, "otel_logs_raw.tsv"), (TRACES, "otel_traces_raw.tsv")):
        put_back(engine, table, recorded.directory / file)
    return open_index(ensure_index(recorded.directory, recorded.cache))


def put_back(engine: Engine, table: str, file: Path) -> None:
    with file.open(newline="") as opened:
        reader = csv.reader(opened, delimiter="\t")
        header = next(reader)
        kept = [place for place, name in enumerate(header) if "." not in name]
        lines = ["\t".join(cell(engine, header[place], row[place]) for place in kept) for row in reader]
    names = ", ".join(header[place] for place in kept)
    for begin in range(0, len(lines), BATCH):
        rows = "\n".join(lines[begin : begin + BATCH])
        engine.execute(f"INSERT INTO {table} ({names}) FORMAT TabSeparated\n{rows}\n")


def cell(engine: Engine, column: str, text: str) -> str:
    if engine.old and column == "Timestamp":
        return text[:19]
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def windows(end: float) -> Iterator[tuple[float, float]]:
    present = end // BUCKET_S * BUCKET_S
    for begin in (300, 600, 1200):
        yield present - begin, present


def figures(found: list[CallPath]) -> dict[tuple[tuple[str, ...], str], tuple[float, float]]:
    return {(one.path, one.operation): (one.count, one.errors) for one in found}


def test_call_paths(engine: Engine, index: Index) -> None:
    for low, high in windows(index.end):
        # A recording's windows end before their last moment.
        told = SpanTable(engine.server, TRACES).call_paths(low, high - 1e-4)
        assert figures(list(told)) == figures(index.call_paths(low, high))
        assert any(one.errors for one in told)


@pytest.mark.parametrize(
    "wanted", [{}, {"service": "checkout"}, {"severity": "ERROR"}, {"contains": "HANDLED"}]
)
def test_logs(engine: Engine, index: Index, wanted: dict[str, str]) -> None:
    words = {"service": "", "contains": "", "severity": ""} | wanted
    for low, high in windows(index.end):
        table = LogTable(engine.server, LOGS)
        told = table.matching(words["service"], "", low, high, words["contains"], 10_000, words["severity"])
        named = {"service": words["service"]} if words["service"] else {}
        known = index.logs(named, low, high, words["contains"], 10_000, words["severity"])
        assert told
        assert sorted(map(content, told)) == sorted(map(content, known))


def content(record: LogRecord) -> tuple[str, str, str, str]:
    """Without the time, which an old server cuts."""
    return record.service, record.pod, record.severity, record.body
