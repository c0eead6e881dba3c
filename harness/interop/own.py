"""Our own traces: a run directory, or a file of events as JSON lines (also compressed)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from harness.interop.imported import Broken, Imported, Item
from harness.records import TrialRecord
from harness.store import RunDirectory
from harness.trace import Event, decode

TAGS = (b'"type":"system"', b'"type":"user"', b'"type":"model_call"', b'"type":"alerts_observed"')


def sniff(path: Path, head: bytes) -> bool:
    """A run directory, compressed events, or a first line with one of our tags and no payload."""
    if path.is_dir():
        return (path / "records.jsonl").exists()
    if head.startswith(b"\x1f\x8b"):
        return True
    first = head.split(b"\n", 1)[0].replace(b'": ', b'":')
    return any(tag in first for tag in TAGS) and b'"payload"' not in first


def read(path: Path) -> Iterator[Item]:
    """All traces of a run directory, or the one of a file."""
    if path.is_dir():
        yield from _run(path)
        return
    try:
        data = path.read_bytes()
        yield Imported(str(path), path.parent.name, _decoded(data))
    except (OSError, ValueError, EOFError, zlib.error) as error:
        yield Broken(str(path), f"not a readable trace: {error}")


def _decoded(data: bytes) -> list[Event]:
    return decode(gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data)


def _run(path: Path) -> Iterator[Item]:
    run = RunDirectory(path)
    with open(run.records_file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                record = TrialRecord.model_validate_json(line)
            except ValidationError as error:
                yield Broken(f"{run.records_file}:{number}", f"not a readable record: {error}"[:300])
                continue
            name = f"{path.name}/{record.spec.trial_id}"
            try:
                events = run.trace(record)
            except (OSError, ValueError, EOFError, zlib.error) as error:
                yield Broken(name, f"the trace cannot be read: {error}")
                continue
            yield Imported(name, f"{record.spec.model} {record.spec.arm}", events)
