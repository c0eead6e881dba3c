"""The journal: every event of every attempt, written through as it happens, so that a killed process loses nothing.

    RUN/journal/PID-NONCE-N.jsonl    one process writes here, for all of its trials in flight

        {"n":3,"trial_id":"16.sim.react.baseline.r0","attempt":1}     attempt number 3 of this file begins
        {"n":3,"event":{"type":"system", ...}}                         one event of it

Owns: writing, reading back, and giving files up again. An event is in the hands of the operating system when `write`
returns, so it survives the death of the process (kill -9), not of the machine; finished trials survive that too
(`store.py`). Once all trials of a file are durable in the run directory the file is removed: what is left after a
kill are the attempts that were under way. A process holds a lock on its files, so that nobody takes them from one
that lives. Does not own: what becomes of attempts that were left (`store.py`).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.errors import ConfigurationError, Problem, RunStopped

DIRECTORY = "journal"
FILE_BYTES = 16 * 1024 * 1024
"""A file that has grown beyond this takes no further attempts."""


class Line(msgspec.Struct, omit_defaults=True):
    """One line of a journal: the beginning of an attempt, or one event of it."""

    n: int
    trial_id: str = ""
    attempt: int = 0
    event: msgspec.Raw = msgspec.Raw()


class LeftAttempt(NamedTuple):
    """An attempt as a journal has it."""

    trial_id: str
    attempt: int
    trace: bytes
    """Events as JSON lines."""


class Journal:
    """What one process writes. `release` may be called from another thread."""

    def __init__(self, directory: Path, file_bytes: int = FILE_BYTES) -> None:
        self._directory = directory
        self._file_bytes = file_bytes
        self._files: list[JournalFile] = []
        self._guard = threading.Lock()

    def attempt(self, trial_id: str, attempt: int) -> AttemptJournal:
        """Begin an attempt. Raises RunStopped when the disk refuses."""
        with self._guard:
            if not self._files or self._files[-1].size > self._file_bytes:
                self._files.append(JournalFile.create(self._directory))
            return self._files[-1].begin(trial_id, attempt)

    def release(self, trial_ids: Iterable[str]) -> None:
        """These trials are durable elsewhere; files that hold nothing else go, but for the one that is written to."""
        with self._guard:
            gone = set(trial_ids)
            for file in self._files:
                file.held -= gone
            for file in [file for file in self._files[:-1] if not file.held]:
                file.close()
                self._files.remove(file)

    def close(self) -> None:
        """No more will be written; files with trials that were not released stay."""
        with self._guard:
            for file in self._files:
                file.close()
            self._files.clear()


class JournalFile:
    """One file, locked as long as it is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = 0
        self.held: set[str] = set()
        """Trials that are durable nowhere else."""
        self._descriptor = descriptor
        self._attempts = 0

    @classmethod
    def create(cls, directory: Path) -> JournalFile:
        """A new file. Raises RunStopped when there can be none."""
        try:
            directory.mkdir(exist_ok=True)
            path = directory / f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise RunStopped("run_dir_refuses", f"{directory}: cannot be written: {error}") from None
        return cls(path, descriptor)

    def begin(self, trial_id: str, attempt: int) -> AttemptJournal:
        """Note that an attempt begins."""
        self.held.add(trial_id)
        self._attempts += 1
        self.write(msgspec.json.encode(Line(self._attempts, trial_id, attempt)) + b"\n")
        return AttemptJournal(self, self._attempts)

    def write(self, line: bytes) -> None:
        """Hand a line to the operating system. Raises RunStopped when it does not take all of it."""
        try:
            taken = os.write(self._descriptor, line)
        except OSError as error:
            raise RunStopped("run_dir_refuses", f"{self.path}: cannot be written: {error}") from None
        if taken != len(line):
            raise RunStopped("run_dir_refuses", f"{self.path}: cannot be written: the disk is full")
        self.size += taken

    def close(self) -> None:
        """Give the lock back, and the file where nothing depends on it."""
        if not self.held:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


class AttemptJournal:
    """Where the events of one attempt go (`trace.Sink`)."""

    def __init__(self, file: JournalFile, number: int) -> None:
        self._file = file
        self._head = b'{"n":%d,"event":' % number

    def write(self, event: bytes) -> None:
        """Keep one event, given as JSON."""
        self._file.write(self._head + event + b"}\n")


def read(path: Path) -> list[LeftAttempt]:
    """All attempts in a file, in the order in which they began. A torn last line is left out; any other bad line
    raises ConfigurationError."""
    decoder = msgspec.json.Decoder(Line)
    begun: dict[int, Line] = {}
    events: dict[int, list[bytes]] = {}
    with open(path, "rb") as lines:
        for number, text in enumerate(lines, start=1):
            if not text.endswith(b"\n"):
                break
            try:
                line = decoder.decode(text)
                if line.trial_id:
                    begun[line.n], events[line.n] = line, []
                else:
                    events[line.n].append(bytes(line.event) + b"\n")
            except (msgspec.MsgspecError, KeyError) as error:
                hint = "move the file away to go on without it"
                raise ConfigurationError(
                    Problem(f"{path}:{number}", f"not a journal line: {error}", hint)
                ) from None
    return [LeftAttempt(line.trial_id, line.attempt, b"".join(events[n])) for n, line in begun.items()]


def left_behind(directory: Path) -> Iterator[Path]:
    """Files whose writers are gone. Each stays locked until the next one is asked for."""
    for path in sorted(directory.glob("*.jsonl")):
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield path
