"""The ledger of a search: what was decided, in order, with the evidence for it. One durable line per decision.

    loop.json      what the search declared before its first trial; a changed search is refused
    ledger.jsonl   one entry per decision

The search is a function of its entries: an entry that is on disk is never decided again, so a killed search goes on
behind its last whole line. Owns: both files and their lock. Does not own: what is decided (`loop.py`).
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import Field, ValidationError

from harness.errors import ConfigurationError, Problem
from harness.records import Record
from harness.store import flatten, sync, write_atomically

Step = Literal["baseline", "ranking", "lookup", "screening", "confirmation", "stop", "held_out"]


class Entry(Record):
    """One decision."""

    number: int = 0
    step: Step
    subject: str
    """What it is about: a mode, or the stack as it stands."""
    decision: str
    """In one sentence, with the reason."""
    evidence: dict[str, Any] = Field(default_factory=dict)
    """The numbers that it rests on."""
    run: str | None = None
    """Run directory of the trials behind it, relative to the ledger."""
    trials: int = 0
    """Trials and forks that the step took."""
    usd: float = 0.0


class Ledger:
    """Reads and extends the ledger in one directory. One process at a time."""

    def __init__(self, path: Path, declared: Mapping[str, Any]) -> None:
        """Take the lock and hold the search to what it declared. Raises ConfigurationError."""
        self.path = path
        self.declared = declared
        path.mkdir(parents=True, exist_ok=True)
        self._lock = lock(path)
        try:
            declare(path / "loop.json", declared)
            self.entries = read_entries(self.file)
        except BaseException:
            self.close()
            raise
        self._reached = 0

    @property
    def file(self) -> Path:
        """Where the entries lie."""
        return self.path / "ledger.jsonl"

    @property
    def passed(self) -> list[Entry]:
        """Entries that the search has come by so far."""
        return self.entries[: self._reached]

    def decide(self, step: Step, subject: str, work: Callable[[], Entry]) -> Entry:
        """The stored decision of this place in the search, or a new one, durable before it is returned."""
        number, self._reached = self._reached, self._reached + 1
        if number < len(self.entries):
            known = self.entries[number]
            if (known.step, known.subject) != (step, subject):
                what = f"entry {number} decides {known.step} of {known.subject}; expected {step} of {subject}"
                raise ConfigurationError(Problem(str(self.file), what, "start again in another run_dir"))
            return known
        entry = work().model_copy(update={"number": number})
        with open(self.file, "ab") as lines:
            lines.write(entry.model_dump_json().encode() + b"\n")
            sync(lines)
        self.entries.append(entry)
        return entry

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()


def lock(path: Path) -> IO[str]:
    """Hold the directory. Raises ConfigurationError while another process does."""
    held = open(path / ".lock", "w")  # noqa: SIM115 - held until the ledger is closed
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        hint = "wait for it, or choose another run_dir"
        raise ConfigurationError(
            Problem(f"run_dir={path}", "another process is writing here", hint)
        ) from None
    return held


def declare(file: Path, declared: Mapping[str, Any]) -> None:
    """Freeze what the search declares, or check that it declared the same before."""
    if not file.exists():
        write_atomically(file, (json.dumps(declared, indent=1, sort_keys=True) + "\n").encode())
        return
    old, new = flatten(json.loads(file.read_text(encoding="utf-8"))), flatten(dict(declared))
    changed = [
        Problem(key, f"{old.get(key, 'absent')} -> {new.get(key, 'absent')}")
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if changed:
        what = "holds a search that declared something else; it was not touched"
        raise ConfigurationError([Problem(str(file), what, "use a new run_dir"), *changed])


def read_entries(file: Path) -> list[Entry]:
    """All whole entries; a torn last line is cut off, since what it decided is decided again."""
    if not file.exists():
        return []
    data = file.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with open(file, "r+b") as lines:
            lines.truncate(whole)
            sync(lines)
    entries = []
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            entries.append(Entry.model_validate_json(line))
        except ValidationError as error:
            raise ConfigurationError(Problem(f"{file}:{number}", f"not a readable entry: {error}")) from None
    return entries
