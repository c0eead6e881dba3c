"""The run directory: the frozen plan, one durable line per finished trial, and the traces.

    plan.json        what is owed, with its digest; written before the first trial
    records.jsonl    one line per finished trial; a trial exists only when its line is on disk
    traces/N.jsonl.gz  segments; each attempt is one gzip member, found by (file, offset, length)
    interrupted.jsonl  attempts that a killed process left, with their traces; written by `recovery.py`
    journal/         events of the attempts that are under way (`journal.py`)

Owns: layout, durability, the refusal of a changed plan. A torn last line is work that is owed again: it is cut
off when the directory is opened for writing, and at once when a write fails. One process writes at a time (lock
file).
"""

from __future__ import annotations

import errno
import fcntl
import gc
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import msgspec
from pydantic import ValidationError

from harness.errors import ConfigurationError, Problem, RunStopped
from harness.finished import Finished, seal, unpack
from harness.records import Interrupted, Plan, TraceRef, TrialRecord
from harness.trace import Event

T = TypeVar("T")
SEGMENT_BYTES = 64 * 1024 * 1024
TAIL_BYTES = 64 * 1024
"""How much of a file's end is looked at in one go."""


class SpecLine(msgspec.Struct):
    """The part of a stored spec that says which trial it was."""

    trial_id: str


class PlanFile(msgspec.Struct):
    """The part of the plan's file that tells it from others."""

    digest: str


class RecordLine(msgspec.Struct):
    """The part of a record's line that is read to know what is owed."""

    spec: SpecLine


class RunDirectory:
    """Reads a run; after `open_for_writing`, also adds to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def plan_file(self) -> Path:
        """Where the frozen plan lies."""
        return self.path / "plan.json"

    @property
    def records_file(self) -> Path:
        """Where the finished trials lie."""
        return self.path / "records.jsonl"

    @property
    def interrupted_file(self) -> Path:
        """Where the attempts are listed that killed processes left (`recovery.py`)."""
        return self.path / "interrupted.jsonl"

    def read_plan(self) -> Plan:
        """The frozen plan. Raises ConfigurationError when there is none or it is not readable."""
        try:
            return Plan.model_validate_json(self.plan_file.read_bytes())
        except FileNotFoundError:
            hint = "name a directory that `python -m harness +experiment=...` wrote"
            raise ConfigurationError(Problem(str(self.path), "no run is stored here", hint)) from None
        except ValidationError as error:
            raise ConfigurationError(Problem(str(self.plan_file), f"not a readable plan: {error}")) from None

    def _frozen_digest(self) -> str:
        """The frozen plan's, read without building its trials; empty where it is not readable."""
        try:
            return msgspec.json.decode(self.plan_file.read_bytes(), type=PlanFile).digest
        except msgspec.MsgspecError:
            return ""

    def records(self) -> list[TrialRecord]:
        """All finished trials. A torn last line is left out; any other bad line is an error with its number."""
        with collector_paused():
            return list(whole_lines(self.records_file, TrialRecord.model_validate_json))

    def interrupted(self) -> list[Interrupted]:
        """Attempts that ended with their process, in the order in which they were found."""
        return list(whole_lines(self.interrupted_file, Interrupted.model_validate_json))

    def interrupted_trace(self, one: Interrupted) -> list[Event]:
        """The events up to the interruption."""
        return self._events(one.trace)

    def finished(self) -> set[str]:
        """Ids of all finished trials, read without building their records."""
        decoder = msgspec.json.Decoder(RecordLine)
        return {line.spec.trial_id for line in whole_lines(self.records_file, decoder.decode)}

    def trace(self, record: TrialRecord) -> list[Event]:
        """The events of a trial's counted attempt, read without touching other trials."""
        return self._events(record.trace)

    def earlier_trace(self, record: TrialRecord, attempt: int) -> list[Event]:
        """The events of `record.earlier[attempt]`; none where a lost worker took them along."""
        return self._events(record.earlier_traces[attempt])

    def packed_trace(self, record: TrialRecord) -> bytes:
        """The counted attempt's trace as stored: one gzip member of JSON lines; nothing where none was kept."""
        return self._packed(record.trace) if record.trace else b""

    def _events(self, place: TraceRef | None) -> list[Event]:
        return unpack(self._packed(place)) if place else []

    def _packed(self, place: TraceRef) -> bytes:
        with open(self.path / "traces" / place.file, "rb") as segment:
            segment.seek(place.offset)
            return segment.read(place.length)

    # --- writing ------------------------------------------------------------------------------------

    def open_for_writing(self, plan: Plan) -> None:
        """Freeze the plan, or check that the frozen one is the same; then take the lock and drop a torn line.

        Raises ConfigurationError with a diff when the plan differs, or when another process is writing.
        """
        try:
            (self.path / "traces").mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise ConfigurationError(Problem(f"run_dir={self.path}", f"cannot be written: {error}")) from None
        try:
            if self.plan_file.exists():
                if self._frozen_digest() != plan.digest:
                    refuse_changes(self.read_plan(), plan, self.path)
            else:
                write_atomically(self.plan_file, plan.model_dump_json(indent=1).encode())
            cut_torn_line(self.records_file)
            cut_torn_line(self.interrupted_file)
        except BaseException:
            self.close()
            raise

    def append(self, finished: Sequence[tuple[TrialRecord, bytes]]) -> None:
        """Make records and their traces (JSON lines) durable."""
        self.add([seal(record, trace) for record, trace in finished])

    def add(self, finished: Sequence[Finished]) -> None:
        """Make sealed trials durable: traces first, then the records, one fsync each for the whole batch.

        Raises RunStopped when the disk refuses; the directory then holds what it held before.
        """
        try:
            places = iter(self.add_traces([member for one in finished for member in one.traces]))
            lines = [one.line([next(places) for _ in one.traces]) for one in finished]
            add_lines(self.records_file, b"".join(lines))
        except OSError as error:
            what = f"cannot be written: {error}; {len(finished)} finished trials were not kept and are owed"
            raise RunStopped("run_dir_refuses", f"run_dir={self.path} {what}") from None

    def add_traces(self, members: Sequence[bytes]) -> list[TraceRef | None]:
        """Make packed traces durable; where each lies, None for empty ones. Raises OSError."""
        segment = self._segment()
        places: list[TraceRef | None] = []
        with open(segment, "ab") as traces:
            for member in members:
                place = TraceRef(file=segment.name, offset=traces.tell(), length=len(member))
                places.append(place if member else None)
                traces.write(member)
            sync(traces)
        return places

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        lock = open(self.path / ".lock", "w")  # noqa: SIM115 - held until close()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            hint = "wait for it, or choose another run_dir"
            raise ConfigurationError(
                Problem(f"run_dir={self.path}", "another process is writing here", hint)
            ) from None
        self._lock = lock

    def _segment(self) -> Path:
        segments = sorted((self.path / "traces").glob("*.jsonl.gz"))
        if segments and segments[-1].stat().st_size < SEGMENT_BYTES:
            return segments[-1]
        return self.path / "traces" / f"{len(segments):05d}.jsonl.gz"


def refuse_changes(frozen: Plan, wanted: Plan, path: Path) -> None:
    """Raise ConfigurationError listing every difference between the frozen plan and the wanted one."""
    differences = [
        Problem(f"run_dir={path}", "holds a run with another plan; it was not touched", "use a new run_dir")
    ]
    old, new = flatten(frozen.model_dump(mode="json")), flatten(wanted.model_dump(mode="json"))
    for key in sorted(old.keys() | new.keys()):
        if key.startswith("trials.") or key == "digest" or old.get(key) == new.get(key):
            continue
        differences.append(Problem(key, f"{old.get(key, 'absent')} -> {new.get(key, 'absent')}"))
    if len(frozen.trials) != len(wanted.trials):
        differences.append(Problem("trials", f"{len(frozen.trials)} -> {len(wanted.trials)}"))
    raise ConfigurationError(differences)


def flatten(value: object, path: str = "") -> dict[str, str]:
    """Leaves of a JSON value by dotted path."""
    items: Iterable[tuple[str, object]]
    if isinstance(value, dict):
        items = ((str(key), inner) for key, inner in value.items())
    elif isinstance(value, list):
        items = ((str(index), inner) for index, inner in enumerate(value))
    else:
        return {path: json.dumps(value)}
    leaves: dict[str, str] = {}
    for key, inner in items:
        leaves |= flatten(inner, f"{path}.{key}" if path else key)
    return leaves


def whole_lines(path: Path, read: Callable[[bytes], T]) -> Iterator[T]:
    """Every whole line of a file; a torn last one is left out. Raises ConfigurationError naming a bad line."""
    if not path.exists():
        return
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield read(line)
            except (ValidationError, msgspec.MsgspecError) as error:
                where = f"{path}:{number}"
                raise ConfigurationError(Problem(where, f"not a readable record: {error}")) from None


@contextmanager
def collector_paused() -> Iterator[None]:
    """Read many records without Python's search for cycles: they have none, and it would take most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def cut_torn_line(path: Path) -> None:
    """Drop what a killed process left half written at the end of a file."""
    if not path.exists():
        return
    with open(path, "r+b") as lines:
        end = whole = lines.seek(0, os.SEEK_END)
        while whole > 0:
            begin = max(0, whole - TAIL_BYTES)
            lines.seek(begin)
            newline = lines.read(whole - begin).rfind(b"\n")
            whole = begin + newline + 1
            if newline >= 0:
                break
        if whole < end:
            lines.truncate(whole)
            sync(lines)


def add_lines(path: Path, lines: bytes) -> None:
    """Append whole lines to a file and make them durable, or leave it as it was. Raises OSError."""
    with open(path, "ab", buffering=0) as file:
        before = file.tell()
        try:
            taken = file.write(lines)
            if taken != len(lines):  # a full disk takes a part first, and refuses the next write
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        sync(file)
    os.replace(temporary, path)


def sync(file: IO[bytes]) -> None:
    """Push a file's bytes to the disk."""
    file.flush()
    os.fsync(file.fileno())
