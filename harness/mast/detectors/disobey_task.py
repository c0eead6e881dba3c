"""MAST 1.1, disobey task specification: the part that code can check (docs/sources M1).

Decides: the task's requirements as assertions. The attempt ended without an answer by the agent's own
doing; a submission was refused because it broke the contract; an entity is not `namespace/Kind/name`;
more than five contributing factors; a firing alert that the agent saw before it changed anything is in no
`alerts_explained`; a tool was called that does not exist.
Every attempted answer counts, accepted or refused: what only refused ones show is repaired. That a guard
refused is no finding by itself: the same answer would pass unseen where the guard is off.
Blind spots: requirements in prose; alerts seen only through other tools than the alert reads; an alert
is covered by an entry with its name that names its entity, or names no alerting entity at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.mast.answers import Finding, over_answers
from harness.mast.evidence import FiringAlert, alert_reads, mentions, object_name
from harness.mast.spans import label, span
from harness.mast.view import Call, TraceType, TraceView
from harness.records import Label

SLUGS = ("disobey_task",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "not_applicable"}
MAX_FACTORS = 5
NO_ANSWER = frozenset({"no_output", "invalid_json", "schema_violation"})
_ENTITY = re.compile(r"[\w.-]+/[A-Z][A-Za-z0-9]*/[a-zA-Z0-9][\w.:-]*")
UNKNOWN_TOOL = re.compile(
    r"(?:unknown|no such|nonexistent) tool|tool .{1,60} (?:does not exist|not found)", re.I
)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label: present with one span for each broken requirement."""
    lasting = [*_unknown_tools(view), *_unanswered(view)]
    refused = [*_refused(view)]
    answers = over_answers(view, _answer)
    broken = [*lasting, *answers.findings, *refused]
    if not broken:
        return (label("disobey_task", "cannot_tell" if view.torn else "absent", "disobey_task"),)
    clean = not answers.findings or answers.repaired
    repaired = not lasting and clean and (view.final is not None or not refused)
    notes = "; ".join(dict.fromkeys(finding.note for finding in broken))
    spans = [finding.span for finding in broken]
    return (label("disobey_task", "present", "disobey_task", spans, notes, repaired=repaired),)


def _refused(view: TraceView) -> Iterator[Finding]:
    for call in view.submissions:
        if call.result is not None and call.result.executed and not call.result.ok:
            yield Finding("a submission broke the contract", span(call.result, also=[call.event]))


def _unknown_tools(view: TraceView) -> Iterator[Finding]:
    for call in view.calls:
        if call.result is not None and not call.result.ok and UNKNOWN_TOOL.search(call.text[:200]):
            where = span(call.event, call.name, also=[call.result])
            yield Finding("a tool was called that does not exist", where)


def _unanswered(view: TraceView) -> Iterator[Finding]:
    if view.final is None and view.ended is not None and view.ended.how in NO_ANSWER:
        yield Finding("no valid answer was submitted", span(view.ended))


def _answer(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    for entity in view.diagnosis.get("entities") or ():
        if not _ENTITY.fullmatch(entity["name"]):
            yield Finding("an entity is not namespace/Kind/name", span(view.final, entity["name"]))
    if len(view.factors) > MAX_FACTORS:
        note = f"{len(view.factors)} contributing factors, more than {MAX_FACTORS}"
        yield Finding(note, span(view.final, view.factors[MAX_FACTORS]["name"]))
    yield from unexplained(view)


def unexplained(view: TraceView) -> Iterator[Finding]:
    """Alerts that fired before the first change, were seen, and that the answer does not explain."""
    assert view.final is not None
    entries = [entry["alert"] for entry in view.diagnosis.get("alerts_explained") or ()]
    seen: dict[FiringAlert, Call] = {}
    for call, alerts in alert_reads(view):
        if view.changes and call.i > view.changes[0].i:
            break
        for alert in sorted(alerts):
            seen.setdefault(alert, call)
    names = {object_name(alert.entity) for alert in seen}
    general = [entry for entry in entries if not any(mentions(entry, name) for name in names)]
    for alert, call in seen.items():
        about = [entry for entry in entries if mentions(entry, object_name(alert.entity))]
        if not any(alert.name in entry for entry in general + about) and call.result is not None:
            note = f"the firing alert {alert.name} of {alert.entity} is not explained"
            yield Finding(note, span(call.result, alert.name, also=[view.final]))
