"""Traces in a report: which ones are embedded, and each as a timeline of readable steps.

Owns: the choice and the content of a timeline. Does not own: reading traces (`harness/store.py`), the markup.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from harness.records import Label, TrialRecord
from harness.report.matrix import natural, outcome
from harness.trace import (
    AgentMessage,
    AlertsObserved,
    AssistantMessage,
    ContextReduced,
    Ended,
    Event,
    Final,
    GuardFired,
    ModelCall,
    PhaseChange,
    ProgramOutput,
    SystemMessage,
    ToolCall,
    ToolResult,
    UserMessage,
)

FAILED_PER_CELL = 3
SUCCEEDED_PER_CELL = 1
MAX_TRACES = 60
MAX_TEXT = 2_000
"""Characters of one event's text that a page shows."""


def chosen(records: Sequence[TrialRecord], first: Sequence[TrialRecord] = ()) -> list[TrialRecord]:
    """The trials whose traces are embedded: those of `first`, then of each model, agent and arm up to
    FAILED_PER_CELL below full recall and SUCCEEDED_PER_CELL with it, from different scenarios where there are,
    MAX_TRACES in all."""
    cells: dict[tuple[str, str, str], list[TrialRecord]] = defaultdict(list)
    for record in sorted(records, key=_by_scenario):
        if record.trace is not None and record.status != "excluded":
            cells[record.spec.model, record.spec.agent, record.spec.arm].append(record)
    ranked: list[list[TrialRecord]] = []
    for trials in cells.values():
        failed = [trial for trial in trials if outcome(trial) != "full"][:FAILED_PER_CELL]
        ranked.append(failed + [trial for trial in trials if outcome(trial) == "full"][:SUCCEEDED_PER_CELL])
    # In turns over the cells, so that the limit takes from all of them.
    longest = max(map(len, ranked), default=0)
    in_turns = [trials[place] for place in range(longest) for trials in ranked if place < len(trials)]
    wanted = {record.spec.trial_id: record for record in (*first, *in_turns) if record.trace is not None}
    return list(wanted.values())[:MAX_TRACES]


def _by_scenario(record: TrialRecord) -> tuple[int, list[tuple[int, str]], str]:
    """First repeats of all scenarios before second ones; the rest makes the order of records irrelevant."""
    return record.spec.repeat, natural(record.spec.scenario), record.spec.trial_id


def timeline(record: TrialRecord, read_trace: Callable[[TrialRecord], list[Event]]) -> dict[str, Any]:
    """The trace's steps with the failure modes that rest on them; says so when the trace cannot be read."""
    try:
        events = read_trace(record)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        return {"problem": f"The trace could not be read: {error}", "steps": [], "modes": []}
    modes = [
        {"slug": label.slug, "source": _source(label), "note": label.note, "spans": label.spans}
        for label in record.labels
        if label.present == "present"
    ]
    marks: dict[int, list[str]] = defaultdict(list)
    for label in record.labels:
        if label.present == "present":
            for span in label.spans:
                for number in span.events:
                    if label.slug not in marks[number]:
                        marks[number].append(label.slug)
    return {"problem": "", "steps": [_step(event, marks) for event in events], "modes": modes}


def _source(label: Label) -> str:
    """Who says so, and what keeps it from counting fully."""
    proposal = ", a proposal that does not count" if label.basis == "proposes" else ""
    return f"{label.source}{proposal}{', repaired before the last answer' if label.repaired else ''}"


def _step(event: Event, marks: Mapping[int, list[str]]) -> dict[str, Any]:
    kind, title, text = describe(event)
    minutes, seconds = divmod(int(event.t), 60)
    return {
        "i": event.i,
        "time": f"{minutes:02d}:{seconds:02d}",
        "kind": kind,
        "role": event.role if event.role != "agent" else "",
        "title": title,
        "text": shorten(text),
        "observer": type(event).observer,
        "marks": marks.get(event.i, []),
    }


def describe(event: Event) -> tuple[str, str, str]:
    """Kind, one line and text of an event."""
    match event:
        case SystemMessage(text=text):
            return "system", "system prompt", text
        case UserMessage(text=text):
            return "user", "message to the agent", text
        case ModelCall():
            return "model", _model_call(event), ""
        case AssistantMessage(text=text, reasoning=reasoning):
            return "assistant", "agent says", f"{text}\n\nreasoning: {reasoning}" if reasoning else text
        case ToolCall(name=name, call_id=call, args=args, mutating=mutating):
            return "call", f"{call} {name}{' (changes the cluster)' if mutating else ''}", _json(args)
        case ToolResult(name=name, call_id=call, ok=ok, executed=executed, text=text):
            said = ("result" if ok else "error") if executed else "not run"
            return ("result" if ok else "error"), f"{call} {name}: {said}", text
        case AgentMessage(sender=sender, receiver=receiver, text=text, evidence=evidence):
            cited = f", evidence {' '.join(evidence)}" if evidence else ""
            return "message", f"{sender} hands over to {receiver}{cited}", text
        case PhaseChange(source=source, target=target, outcome=outcome, text=text):
            return "message", f"{source} ends with {outcome}, {target} begins", text
        case ProgramOutput(stream=stream, text=text, total_bytes=size):
            return "event", f"{stream} of the program, {size:,} bytes in all", text
        case GuardFired(guard=guard, ruling=ruling, on=on, feedback=feedback, reads=reads, undone=undone):
            cost = f", {reads} own reads" if reads else ""
            cost += f", put back {', '.join(undone)}" if undone else ""
            return "guard", f"{guard}: {ruling} on {on}{cost}", feedback
        case ContextReduced(by=by, call_ids=call_ids, tokens_before=before, tokens_after=after):
            return "event", f"context reduced by {by}: {before:,} to {after:,} tokens", ", ".join(call_ids)
        case Final(submission=submission, forced=forced):
            return "final", f"submission{' (forced)' if forced else ''}", _json(submission)
        case Ended(how=how, detail=detail):
            return "ended", f"ended: {how}", detail
        case AlertsObserved(firing=firing):
            return "alerts", "alerts firing (not seen by the agent)", ", ".join(firing) or "none"
        case _:
            return "event", type(event).__name__, _json(msgspec.to_builtins(event))


def _model_call(event: ModelCall) -> str:
    tokens = f"{event.input_tokens:,} tokens in, {event.output_tokens:,} out"
    retries = f", {event.retries} retries" if event.retries else ""
    return f"{event.model}: {tokens}, {event.latency_s:.1f} s{retries}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    """The first `limit` characters, and how many were left out."""
    return text if len(text) <= limit else f"{text[:limit]}\n… {len(text) - limit:,} characters left out"
