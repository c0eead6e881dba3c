"""Keeps the attempts that a killed process left in the journal: their events stay readable, what they spent is known.

Owns: what becomes of them. Runs when a run is opened and when it ends, so that also the attempts of a worker that
died on the way are kept. Does not own: the journal (`journal.py`), which trials are owed (`experiment.py`).
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import RunStopped
from harness.finished import pack
from harness.journal import DIRECTORY, LeftAttempt, left_behind, read
from harness.records import Interrupted, Usage
from harness.store import RunDirectory, add_lines
from harness.trace import Event, ModelCall, decode, of_type


def take_over(run: RunDirectory) -> list[Interrupted]:
    """Move the attempts of dead processes from the journal into the run directory, in which they are listed once.

    Raises RunStopped when the disk refuses; the journal then stays as it is.
    """
    found: list[Interrupted] = []
    try:
        for path in left_behind(run.path / DIRECTORY):
            found += _keep(run, path)
            path.unlink()
    except OSError as error:
        what = f"run_dir={run.path}: interrupted attempts cannot be kept: {error}"
        raise RunStopped("run_dir_refuses", what) from None
    return found


def _keep(run: RunDirectory, path: Path) -> list[Interrupted]:
    known = {one.journal for one in run.interrupted()}
    attempts = read(path)
    stored = _stored_traces(run, {one.trial_id for one in attempts})
    found, members = [], []
    for number, one in enumerate(attempts, start=1):
        place, events = f"{path.name}:{number}", decode(one.trace)
        if place not in known and events and events not in stored.get(one.trial_id, ()):
            found.append(_described(place, one, events))
            members.append(pack(one.trace))
    places = run.add_traces(members) if members else []
    found = [one.model_copy(update={"trace": at}) for one, at in zip(found, places, strict=True)]
    add_lines(run.interrupted_file, b"".join(one.model_dump_json().encode() + b"\n" for one in found))
    return found


def _stored_traces(run: RunDirectory, wanted: set[str]) -> dict[str, list[list[Event]]]:
    """What finished trials already have: a process may die after its trials were stored and before it was told."""
    if not wanted & run.finished():
        return {}
    return {
        record.spec.trial_id: [
            run.trace(record),
            *(run.earlier_trace(record, n) for n in range(len(record.earlier))),
        ]
        for record in run.records()
        if record.spec.trial_id in wanted
    }


def _described(place: str, left: LeftAttempt, events: list[Event]) -> Interrupted:
    calls = list(of_type(events, ModelCall))
    usage = Usage(
        calls=sum(call.finish != "reported" for call in calls),
        retries=sum(call.retries for call in calls),
        input_tokens=sum(call.input_tokens for call in calls),
        output_tokens=sum(call.output_tokens for call in calls),
        cached_tokens=sum(call.cached_tokens for call in calls),
        cost_usd=sum(call.cost_usd for call in calls),
    )
    return Interrupted(
        trial_id=left.trial_id,
        attempt=left.attempt,
        journal=place,
        events=len(events),
        usage=usage,
        trace=None,
    )
