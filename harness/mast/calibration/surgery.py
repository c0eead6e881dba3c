"""Tools for surgical edits of traces: one change, everything else as it was.

Owns: the mechanics. What an edit makes true stands in `edits.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.mast.view import SUBMIT, WAIT, Call, TraceView
from harness.trace import (
    AssistantMessage,
    Event,
    Final,
    ModelCall,
    ToolCall,
    ToolResult,
)

Events = list[Event]


def renumber(events: Sequence[Event]) -> Events:
    """The events numbered from 0."""
    return [msgspec.structs.replace(event, i=i) for i, event in enumerate(events)]


def without(events: Events, drop: Callable[[Call], bool]) -> Events:
    """The trace without some calls and their results."""
    gone = {call.event.call_id for call in TraceView.of(events).calls if drop(call)}
    return renumber([event for event in events if getattr(event, "call_id", None) not in gone])


def submit_at(events: Events) -> int:
    """Index of the model call that leads to the accepted submission."""
    last = max(i for i, event in enumerate(events) if isinstance(event, ToolCall) and event.name == SUBMIT)
    return max(i for i in range(last) if isinstance(events[i], ModelCall))


def inserted(events: Events, at: int, new: Sequence[Event]) -> Events:
    """The trace with more events before index `at`."""
    return renumber([*events[:at], *new, *events[at:]])


def step(call_id: str, name: str, args: dict[str, Any], text: str, said: str = "", **fields: Any) -> Events:
    """One turn with one call."""
    words: Events = [AssistantMessage(text=said)] if said else []
    ok, executed = fields.pop("ok", True), fields.pop("executed", True)
    result = ToolResult(call_id=call_id, name=name, ok=ok, text=f"[{call_id}] {text}", executed=executed)
    return [ModelCall(model="m"), *words, ToolCall(call_id=call_id, name=name, args=args, **fields), result]


def answered(events: Events, change: Callable[[dict[str, Any]], object]) -> Events:
    """The trace with another answer, in the submission as in its call."""
    edited: Events = []
    last = max(i for i, event in enumerate(events) if isinstance(event, ToolCall) and event.name == SUBMIT)
    for place, event in enumerate(events):
        if isinstance(event, Final):
            submission = copy.deepcopy(event.submission)
            change(submission)
            event = msgspec.structs.replace(event, submission=submission)
        elif place == last and isinstance(event, ToolCall):
            event = msgspec.structs.replace(event, args=flat(_changed(event.args, change)))
        edited.append(event)
    return edited


def _changed(args: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    diagnosis = {name: args.get(name, []) for name in ("entities", "propagations", "alerts_explained")}
    rest = {name: args[name] for name in ("resolved", "resolution_evidence") if name in args}
    submission = copy.deepcopy({"diagnosis": diagnosis, **rest})
    change(submission)
    return submission


def flat(submission: dict[str, Any]) -> dict[str, Any]:
    """A submission as the arguments of `submit`."""
    return {**submission["diagnosis"], **{k: v for k, v in submission.items() if k != "diagnosis"}}


def factors(submission: dict[str, Any]) -> list[dict[str, Any]]:
    """The contributing factors of a submission."""
    return [entity for entity in submission["diagnosis"]["entities"] if entity["contributing_factor"]]


def first_read(events: Events) -> Call | None:
    """A read that can be repeated: successful, with no change or wait after it before the submission."""
    view = TraceView.of(events)
    waits = [call.i for call in view.calls if call.name == WAIT]
    last = max([view.last_change, *waits])
    return next((call for call in reversed(view.calls) if call.reads and call.i > last), None)
