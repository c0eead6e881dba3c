"""MAST 3.1, premature termination: the agent ends while obligations are open (docs/sources M1).

Decides, when the agent itself ended: alerts were never read; nothing but alerts was read, so no
hypothesis was tested; an alert was seen firing and neither followed up by any later read nor named in the
answer; the answer names no cause, or an unknown one; the task asks for remediation, the incident is not
claimed resolved, and no change was even attempted (attempts that a guard denied count as attempted).
Every attempt to submit is an attempt to end: what only refused ones show is repaired. Not applicable when a
budget or a guard ended the work before any attempt: that is not the agent's stop.
Not: complete but unchecked work, which is verification.
Blind spots: causal chains with gaps; budget left over while confidence is low; one read as a token
effort.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.mast.answers import Finding, over_answers
from harness.mast.detectors.unaware_termination import EMPTY, MIN_SILENT
from harness.mast.evidence import ALERT_READS, alert_reads, concerns, mentions, object_name
from harness.mast.spans import label, span
from harness.mast.view import TraceType, TraceView, encode
from harness.records import Label, Present

SLUGS = ("premature_termination",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "not_applicable"}
_UNKNOWN = re.compile(r"\b(?:unknown|tbd|none|n/?a|undetermined|unclear)\b", re.I)
_REMEDIATE = re.compile(r"\bremediat|\bmitigat|\brepair|\bfix\b", re.I)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label with one span for each open obligation."""
    if view.torn:
        return (
            label("premature_termination", "cannot_tell", "premature_termination", note="the trace is torn"),
        )
    if not view.answers:
        return (_without_answer(view),)
    found, repaired = over_answers(view, _open)
    notes = "; ".join(dict.fromkeys(finding.note for finding in found))
    present: Present = "present" if found else "absent"
    spans = [finding.span for finding in found]
    return (
        label("premature_termination", present, "premature_termination", spans, notes, repaired=repaired),
    )


def _without_answer(view: TraceView) -> Label:
    if view.ended is None or view.concluded is not None:
        note = "ended by a guard, not by the agent"
        return label("premature_termination", "not_applicable", "premature_termination", note=note)
    if view.ended.how in EMPTY and view.silent_tail < MIN_SILENT:
        spans = [span(view.ended)]
        return label(
            "premature_termination", "present", "premature_termination", spans, "ended without answer"
        )
    note = f"ended by {view.ended.how}, not by the agent"
    return label("premature_termination", "not_applicable", "premature_termination", note=note)


def _open(view: TraceView) -> Iterator[Finding]:
    """Open obligations at an answer."""
    yield from _unread(view)
    yield from _not_followed_up(view)
    yield from _no_cause(view)
    yield from _not_remediated(view)


def _unread(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    reads = [call for call in view.calls if call.reads]
    if not any(call.name in ALERT_READS for call in reads):
        yield Finding("alerts were never read", span(view.final))
    if all(call.name in ALERT_READS for call in reads):
        yield Finding("nothing was read that could test a hypothesis", span(view.final))


def _not_followed_up(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    answer = encode(view.final.submission)
    seen: set[str] = set()
    for call, alerts in alert_reads(view):
        if view.changes and call.i > view.changes[0].i:
            break
        for alert in sorted(alerts):
            name = object_name(alert.entity)
            if not name or name in seen:
                continue
            seen.add(name)
            read = any(c.reads and c.name not in ALERT_READS and concerns(c, name) for c in view.calls)
            if not read and not mentions(answer, name) and alert.name not in answer:
                assert call.result is not None
                note = f"{alert.name} of {alert.entity} was neither followed up nor mentioned"
                yield Finding(note, span(call.result, alert.entity, also=[view.final]))


def _no_cause(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    if not view.factors:
        yield Finding("the answer names no cause", span(view.final))
    for entity in view.factors:
        if _UNKNOWN.search(entity["name"]):
            yield Finding("the answer names an unknown cause", span(view.final, entity["name"]))


def _not_remediated(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    asked = next((task for task in view.tasks if _REMEDIATE.search(task.text)), None)
    attempted = any(call.event.mutating for call in view.calls)
    if asked is not None and not attempted and not view.resolved:
        yield Finding(
            "remediation was asked for and not tried", span(view.final, '"resolved":false', also=[asked])
        )
