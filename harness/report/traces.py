"""Traces of a page: packed into a bounded number of files beside it, a few of them into the page itself.

Owns: the form of the files, which traces they hold, and their replacement. Does not own: reading traces
(`harness/store.py`), or showing them (`templates/trace.js`).

A browser forbids a page from disk to fetch files, but not to load scripts. So each file is a script that hands over
`[number of the trial, record, events]`, both gzip in base64: nothing that a model said can run, or even be read as
code. The packed events are the store's own bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from harness.records import TrialRecord
from harness.report.files import write_text
from harness.report.matrix import natural, outcome

DIRECTORY = "report_files"
MAX_FILES = 256
FILE_BYTES = 1_000_000
"""Size that a file aims at: what a browser reads in order to show one trace."""
MAX_BYTES = 512_000_000
"""Of all files together; `python -m harness view` shows the traces beyond."""
EMBEDDED_BYTES = 600_000
FAILED_PER_CELL = 3
SUCCEEDED_PER_CELL = 1
NAME = re.compile(r"\d{3}-[0-9a-f]{12}\.js")

PackedTrace = Callable[[TrialRecord], bytes]
"""The events of a trial as JSON lines in one gzip member. Raises OSError where they cannot be read."""


class Beside(NamedTuple):
    """The files beside a page."""

    names: list[str]
    places: dict[str, int]
    """Trial id -> number of its file."""


NOTHING = Beside([], {})


def chosen(records: Sequence[TrialRecord], first: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
    """Trials in the order in which a page would embed them: those of `first`, then of each model, agent and arm up
    to FAILED_PER_CELL below full recall and SUCCEEDED_PER_CELL with it, from different scenarios where there are."""
    cells: dict[tuple[str, str, str], list[TrialRecord]] = defaultdict(list)
    for record in sorted(records, key=_by_scenario):
        if record.trace is not None and record.status != "excluded":
            cells[record.spec.model, record.spec.agent, record.spec.arm].append(record)
    ranked: list[list[TrialRecord]] = []
    for trials in cells.values():
        failed = [trial for trial in trials if outcome(trial) != "full"][:FAILED_PER_CELL]
        ranked.append(failed + [trial for trial in trials if outcome(trial) == "full"][:SUCCEEDED_PER_CELL])
    # In turns over the cells, so that a limit takes from all of them.
    longest = max(map(len, ranked), default=0)
    in_turns = [trials[place] for place in range(longest) for trials in ranked if place < len(trials)]
    wanted = {record.spec.trial_id: record for record in (*first, *in_turns) if record.trace is not None}
    return list(wanted.values())


def embedded(
    records: Sequence[TrialRecord], numbers: Mapping[str, int], packed_trace: PackedTrace
) -> list[list[object]]:
    """Packed trials for the page itself, as far as EMBEDDED_BYTES go."""
    entries: list[list[object]] = []
    left = EMBEDDED_BYTES
    for record in records:
        entry = pack(record, numbers[record.spec.trial_id], packed_trace)
        left -= sum(len(str(part)) for part in entry)
        if left < 0:
            break
        entries.append(entry)
    return entries


def pack(record: TrialRecord, number: int, packed_trace: PackedTrace) -> list[object]:
    """`[number, record, events]`; the events are empty where the trace cannot be read."""
    try:
        events = packed_trace(record)
    except OSError:
        events = b""
    said = gzip.compress(record.model_dump_json().encode(), compresslevel=3, mtime=0)
    return [number, base64.b64encode(said).decode(), base64.b64encode(events).decode()]


def script(entries: Sequence[Sequence[object]]) -> str:
    """Packed trials as a script: digits, quotes and base64, nothing else."""
    rows = ",\n".join(f'[{number},"{record}","{events}"]' for number, record, events in entries)
    return f"harnessTraces([\n{rows}\n]);\n"


def write_beside(
    directory: Path,
    records: Sequence[TrialRecord],
    numbers: Mapping[str, int],
    packed_trace: PackedTrace,
) -> Beside:
    """Write the files of all trials that fit into MAX_BYTES, by number. Files are named by their content, so a page
    that is still open keeps its own until `remove_others`."""
    names: list[str] = []
    places: dict[str, int] = {}
    for trials, content in _filled(_fitting(records, numbers), numbers, packed_trace):
        name = f"{len(names):03d}-{hashlib.sha256(content.encode()).hexdigest()[:12]}.js"
        directory.mkdir(exist_ok=True)
        if not (directory / name).exists():
            write_text(directory / name, content)
        places |= dict.fromkeys(trials, len(names))
        names.append(name)
    return Beside(names, places)


def remove_others(directory: Path, names: Sequence[str]) -> None:
    """Delete what an earlier report left; only files with names that this module gives."""
    for path in directory.glob("*.js"):
        if NAME.fullmatch(path.name) and path.name not in names:
            path.unlink()


def _fitting(records: Sequence[TrialRecord], numbers: Mapping[str, int]) -> list[TrialRecord]:
    """Trials with a trace, by number, as many as MAX_BYTES hold once in base64."""
    fitting: list[TrialRecord] = []
    left = MAX_BYTES * 3 // 4
    for record in sorted(records, key=lambda record: numbers[record.spec.trial_id]):
        if record.trace is not None:
            left -= record.trace.length
            if left < 0:
                break
            fitting.append(record)
    return fitting


def _filled(
    records: Sequence[TrialRecord], numbers: Mapping[str, int], packed_trace: PackedTrace
) -> Iterator[tuple[list[str], str]]:
    """Trials in files of about equal size, at most MAX_FILES."""
    total = sum(record.trace.length for record in records if record.trace) * 4 // 3
    share = max(FILE_BYTES, total // (MAX_FILES - 1) + 1)
    trials: list[str] = []
    entries: list[list[object]] = []
    size = 0
    for record in records:
        entries.append(pack(record, numbers[record.spec.trial_id], packed_trace))
        trials.append(record.spec.trial_id)
        size += record.trace.length * 4 // 3 if record.trace else 0
        if size >= share:
            yield trials, script(entries)
            trials, entries, size = [], [], 0
    if entries:
        yield trials, script(entries)


def _by_scenario(record: TrialRecord) -> tuple[int, list[tuple[int, str]], str]:
    """First repeats of all scenarios before second ones; the rest makes the order of records irrelevant."""
    return record.spec.repeat, natural(record.spec.scenario), record.spec.trial_id
