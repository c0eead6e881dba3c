"""Builds traces by hand, and edits them surgically: one change, everything else as it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from harness.mast.classify import classify
from harness.mast.view import TraceView
from harness.records import Label
from harness.trace import (
    AlertsObserved,
    AssistantMessage,
    Ended,
    Event,
    Final,
    ModelCall,
    SystemMessage,
    ToolCall,
    ToolResult,
    UserMessage,
)

NS = "otel-demo"
SHIPPING = f"{NS}/Deployment/shipping"
OPENING = "I begin with the alerts that fire right now in otel-demo."
TASK = f"Alerts are firing in namespace: {NS}. Diagnose the incident, remediate it, and submit your answer."
ACTIONS = frozenset({"rollout_undo", "patch_object", "rollout_restart", "delete_object", "set_feature_flag"})
FIRING = [("HighRequestErrorRate", "shipping"), ("HighRequestErrorRate", "checkout")]
ERRORS = {"total_count": 1, "lines": ["2026-01-15T09:12:00Z shipping: dial tcp: lookup quotes: no such host"]}
CHANGES = {
    "total_count": 1,
    "data": [{"entity_id": SHIPPING, "changes": [{"path": "spec.env[QUOTE_ADDR].value", "new": "quotes"}]}],
}


def alerts(
    firing: Sequence[tuple[str, str]], inactive: Sequence[tuple[str, str]] = (), **more: Any
) -> dict[str, Any]:
    """A result of `alert_summary`."""
    rows = [
        {"alertname": name, "entity": entity, "namespace": NS, "severity": "critical", "state": state, **more}
        for state, listed in (("firing", firing), ("inactive", inactive))
        for name, entity in listed
    ]
    return {"total_count": len(rows), "data": rows, "as_of": "2026-01-15T09:12:00Z"}


def answer(**changes: Any) -> dict[str, Any]:
    """A complete, well-supported submission for the clean trace."""
    diagnosis = {
        "entities": [
            {
                "name": SHIPPING,
                "contributing_factor": True,
                "reasoning": "wrong address",
                "evidence": "[c4] [c5]",
            },
            {"name": f"{NS}/Service/checkout", "contributing_factor": False, "reasoning": "", "evidence": ""},
        ],
        "propagations": [
            {"source": SHIPPING, "target": f"{NS}/Service/checkout", "condition": "", "effect": ""}
        ],
        "alerts_explained": [{"alert": "HighRequestErrorRate", "explanation": "", "explained": True}],
    }
    submission = {"diagnosis": diagnosis, "resolved": True, "resolution_evidence": "no alert fires in [c8]"}
    return {**submission, **changes}


class Builder:
    """Appends events the way the session does."""

    def __init__(self, task: str = TASK) -> None:
        self.events: list[Event] = []
        self._calls = 0
        self._add(SystemMessage(text="You are on call."))
        self._add(UserMessage(text=task))

    def _add(self, event: Event) -> None:
        self.events.append(msgspec.structs.replace(event, i=len(self.events), t=10.0 * len(self.events)))

    def turn(self, text: str = "") -> Builder:
        """One model call with what it said."""
        self._add(ModelCall(model="m"))
        if text:
            self._add(AssistantMessage(text=text))
        return self

    def call(
        self, name: str, args: dict[str, Any], result: Any, ok: bool = True, executed: bool = True
    ) -> Builder:
        """One tool call with its result."""
        self._calls += 1
        call_id = f"c{self._calls}"
        text = result if isinstance(result, str) else json.dumps(result, separators=(",", ":"))
        self._add(ToolCall(call_id=call_id, name=name, args=args, mutating=name in ACTIONS))
        self._add(
            ToolResult(call_id=call_id, name=name, ok=ok, text=f"[{call_id}] {text}", executed=executed)
        )
        return self

    def submit(self, submission: dict[str, Any] | None = None) -> Builder:
        """An accepted submission, and the end."""
        submission = answer() if submission is None else submission
        flat = {**submission["diagnosis"], **{k: v for k, v in submission.items() if k != "diagnosis"}}
        self.call("submit", flat, "Submission accepted.")
        self._add(Final(submission=submission))
        return self.end("submitted")

    def end(self, how: str) -> Builder:
        """The attempt is over."""
        self._add(Ended(how=how))
        return self


def investigated() -> Builder:
    """Five calls that find the cause: alerts, topology, events, spec changes, logs."""
    return (
        Builder()
        .turn(OPENING)
        .call("alert_summary", {}, alerts(FIRING))
        .turn("Who calls whom?")
        .call("topology_analysis", {}, {"services": ["checkout", "shipping", "quote"], "calls": []})
        .call("event_analysis", {"filters": {"event_kind": "Warning"}}, {"total_count": 0, "data": []})
        .turn("Errors start at shipping. Was its configuration changed?")
        .call("k8s_spec_change_analysis", {"k8_object_name": SHIPPING}, CHANGES)
        .turn("An address was changed. Do the logs agree?")
        .call("kubectl_logs", {"pod": "shipping-6f9c8d7b5d-x2x4z", "namespace": NS}, ERRORS)
    )


def remediated() -> Builder:
    """... and c6 to c8: undo, wait, alerts are clear."""
    return (
        investigated()
        .turn("I put the previous revision back.")
        .call(
            "rollout_undo",
            {"name": "shipping", "namespace": NS},
            {"message": "rolled back", "object": SHIPPING},
        )
        .turn()
        .call("wait", {"seconds": 300}, {"waited_s": 300})
        .call("alert_summary", {}, alerts([], FIRING))
    )


def clean() -> list[Event]:
    """A trace without any failure."""
    return remediated().turn("Done; the previous revision serves.").submit().events


# --- surgical edits -------------------------------------------------------------------------------------


def renumber(events: Sequence[Event]) -> list[Event]:
    """The events numbered from 0 again."""
    return [msgspec.structs.replace(event, i=i) for i, event in enumerate(events)]


def without_call(events: Sequence[Event], *call_ids: str) -> list[Event]:
    """The trace without some calls and their results."""
    return renumber([event for event in events if getattr(event, "call_id", None) not in call_ids])


def duplicated(events: Sequence[Event], call_id: str, as_id: str = "c5b") -> list[Event]:
    """The trace with a call made again right after its result."""
    twins = [
        msgspec.structs.replace(e, call_id=as_id) for e in events if getattr(e, "call_id", None) == call_id
    ]
    at = max(event.i for event in events if getattr(event, "call_id", None) == call_id) + 1
    return renumber([*events[:at], *twins, *events[at:]])


def with_answer(events: Sequence[Event], change: Callable[[dict[str, Any]], Any]) -> list[Event]:
    """The trace with another answer."""
    edited: list[Event] = []
    for event in events:
        if isinstance(event, Final):
            submission = copy.deepcopy(event.submission)
            change(submission)
            edited.append(msgspec.structs.replace(event, submission=submission))
        else:
            edited.append(event)
    return edited


def with_result(events: Sequence[Event], call_id: str, result: Any, **fields: Any) -> list[Event]:
    """The trace with another result of one call."""
    text = f"[{call_id}] " + (
        result if isinstance(result, str) else json.dumps(result, separators=(",", ":"))
    )
    return [
        msgspec.structs.replace(event, text=text, **fields)
        if isinstance(event, ToolResult) and event.call_id == call_id
        else event
        for event in events
    ]


def observed(events: Sequence[Event]) -> list[Event]:
    """The trace with an observer event that the agent never saw."""
    return renumber([*events[:-1], AlertsObserved(firing=["HighRequestErrorRate checkout"]), events[-1]])


# --- reading labels -------------------------------------------------------------------------------------


def labels(events: Sequence[Event]) -> dict[str, Label]:
    """Labels by slug."""
    return {label.slug: label for label in classify(events)}


def present(events: Sequence[Event]) -> set[str]:
    """Slugs of the labels that are present."""
    return {label.slug for label in classify(events) if label.present == "present"}


def view(builder: Builder) -> TraceView:
    """The view of a built trace."""
    return TraceView.of(builder.events)
