"""Edits in how an agent ends: termination, verification, and the SRE extensions.

Each function is one edit; `edits.py` says what it makes true.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from harness.mast.calibration.surgery import Events, answered, factors, inserted, step, submit_at, without
from harness.mast.evidence import ALERT_READS, SYMPTOM_READS, concerns, firing, object_name
from harness.mast.view import WAIT, TraceView

# --- verification and termination ----------------------------------------------------------------------


def alerts_only(events: Events) -> Events:
    """Nothing but alerts was read."""
    return without(events, lambda call: call.name not in ALERT_READS)


def alerts_unread(events: Events) -> Events:
    """Alerts were never read."""
    return without(events, lambda call: call.name in ALERT_READS)


def alert_ignored(events: Events) -> Events | None:
    """One more alert fires, about something that nobody looks at."""
    read = next((call for call in TraceView.of(events).calls if firing(call)), None)
    if read is None or read.result is None:
        return None
    listed = json.loads(read.text)
    row = next(row for row in listed["data"] if row["state"] == "firing")
    key = "entity" if "entity" in row else "service_name"
    listed["data"].append({**row, "alertname": "WishlistIsSlow", key: "wishlist"})
    text = f"[{read.event.call_id}] {json.dumps(listed, separators=(',', ':'))}"
    return [msgspec.structs.replace(event, text=text) if event is read.result else event for event in events]


def not_remediated(events: Events) -> Events | None:
    """Nothing was changed and nothing is claimed."""
    if not TraceView.of(events).changes:
        return None
    left = without(events, lambda call: call.event.mutating or call.name == WAIT)
    return answered(left, lambda s: s.update(resolved=False, resolution_evidence=""))


def no_cause(events: Events) -> Events:
    """The answer blames nobody."""

    def blame_nobody(submission: dict[str, Any]) -> None:
        for entity in submission["diagnosis"]["entities"]:
            entity["contributing_factor"] = False

    return answered(events, blame_nobody)


def untested(events: Events) -> Events | None:
    """No read is about the cause."""
    view = TraceView.of(events)
    names = [object_name(entity["name"]) for entity in view.factors]
    if not names:
        return None
    left = without(
        events,
        lambda call: (
            not call.event.mutating
            and call.name not in ALERT_READS
            and any(concerns(call, name) for name in names)
        ),
    )
    return answered(left, lambda s: [entity.update(evidence="") for entity in factors(s)])


def unchecked_change(events: Events) -> Events | None:
    """Nobody looks at users after the last change."""
    view = TraceView.of(events)
    if not view.changes:
        return None
    last = view.last_change
    left = without(events, lambda call: call.i > last and call.name in SYMPTOM_READS)
    return answered(left, lambda s: s.update(resolved=True, resolution_evidence="It must be fine."))


def cites(text: str) -> Callable[[Events], Events]:
    """Every cause cites this."""

    def apply(events: Events) -> Events:
        return answered(events, lambda s: [entity.update(evidence=text) for entity in factors(s)])

    return apply


def cites_denied(events: Events) -> Events:
    """The cited call was denied."""
    denied = step("c901", "kubectl_logs", {"pod": "x"}, "denied", ok=False, executed=False)
    return cites("[c901]")(inserted(events, submit_at(events), denied))


def cites_other(events: Events) -> Events:
    """The cited call is about another matter."""
    other = step("c901", "get_k8_spec", {"k8_object_name": "Service/wishlist"}, '{"found":true}')
    return cites("[c901]")(inserted(events, submit_at(events), other))


def cites_old_check(events: Events) -> Events | None:
    """Resolved cites alerts from before the change."""
    view = TraceView.of(events)
    early = next(
        (call for call in view.calls if call.name in ALERT_READS and call.i < view.last_change), None
    )
    if early is None:
        return None
    text = f"clean in [{early.event.call_id}]"
    return answered(events, lambda s: s.update(resolved=True, resolution_evidence=text))


def resolved_while_firing(events: Events) -> Events | None:
    """The last look at alerts shows the first ones again."""
    view = TraceView.of(events)
    before = [call for call in view.calls if call.name in ALERT_READS and call.i < view.last_change]
    if not before or '"firing"' not in before[0].text:
        return None
    call = step("c901", before[0].name, dict(before[0].event.args), before[0].text)
    left = inserted(events, submit_at(events), call)
    return answered(left, lambda s: s.update(resolved=True, resolution_evidence=""))


# --- SRE extensions -------------------------------------------------------------------------------------


def hallucinated(events: Events) -> Events:
    """The answer names an object that nothing showed."""
    extra = {
        "name": "otel-demo/Service/wishlist",
        "contributing_factor": False,
        "reasoning": "",
        "evidence": "",
    }
    return answered(events, lambda s: s["diagnosis"]["entities"].append(extra))


def old_window(events: Events) -> Events:
    """The cited read looks at a window from years ago."""
    window = {"k8_object": "x", "start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-01T01:00:00Z"}
    return cites("[c901]")(inserted(events, submit_at(events), step("c901", "log_analysis", window, "{}")))


def backwards(events: Events) -> Events:
    """The cause is said to suffer from something else."""

    def turn(submission: dict[str, Any]) -> None:
        edge = {"source": "otel-demo/Service/wishlist", "target": factors(submission)[0]["name"]}
        submission["diagnosis"]["propagations"] = [{**edge, "condition": "", "effect": ""}]

    return answered(events, turn)


def deletes(kind: str, dry_run: bool) -> Callable[[Events], Events]:
    """An object of a kind is deleted, or only tried out."""
    args = {"kind": kind, "name": "otel-demo", "namespace": "", "dry_run": dry_run}
    return lambda events: inserted(
        events, submit_at(events), step("c901", "delete_object", args, "{}", "Away.", mutating=True)
    )
