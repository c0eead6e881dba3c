"""MAST 1.5, unaware of termination conditions: the agent runs on (docs/sources M1).

Decides: the attempt ended by a budget, by a guard's stop, by an answer that a guard made for the agent (counted, and
repaired) or by empty turns; or it was answered late: after the answer was complete, and shown to be so, more than a
quarter of the calls and at least five brought nothing that the answer uses; looked at for every attempted answer,
since a refusal undoes no lost time. Complete means: all contributing factors suspected and, if ever, tested, the last
change made, every call cited for a contributing factor or for the resolution made (or one that asked the same
before). Shown means: the agent said that it had concluded, or after its change it read clean alerts, or read alerts
for the last time.
Blind spots: an agent that neither concludes in words nor acts; a long search for a second cause, after
the last look at the alerts, that leaves no trace in the answer looks like running on; rewrites of an
answer.
"""

from __future__ import annotations

import re

from harness.mast.evidence import alert_reads, citations, object_name, suspected_at, tests_of
from harness.mast.spans import label, span
from harness.mast.view import Call, TraceType, TraceView
from harness.records import Label, Present

SLUGS = ("unaware_termination",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "not_applicable"}
CAPS = frozenset({"budget_turns", "budget_tokens", "budget_time", "budget_cost", "stopped_by_guard"})
EMPTY = frozenset({"no_output", "invalid_json", "schema_violation"})
MIN_SILENT = 2
MIN_OVERRUN = 5
MIN_SHARE = 0.25
_CONCLUDED = re.compile(
    r"root cause (?:is|was|:|has been)|(?:final|my) (?:answer|diagnosis|conclusion)|i (?:now )?have enough"
    r"|ready to submit|incident is (?:over|resolved)",
    re.I,
)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label; not applicable when something else than the agent ended the attempt."""
    if view.concluded is not None and view.final is not None:
        note = "a guard ended the work with an answer of its own"
        spans = [span(view.final, also=[view.concluded])]
        return (label("unaware_termination", "present", "unaware_termination", spans, note, repaired=True),)
    if view.final is not None:
        runs = [_overrun(answer) for answer in view.answers]
        return (max(runs, key=lambda run: (run.present == "present", run.value or 0.0)),)
    if view.ended is None:
        return (label("unaware_termination", "cannot_tell", "unaware_termination", note="the trace is torn"),)
    how = view.ended.how
    if how in CAPS or (how in EMPTY and view.silent_tail >= MIN_SILENT):
        note = f"ended by {how}" + (f" after {view.silent_tail} empty turns" if how in EMPTY else "")
        spans = [span(view.ended)]
        return (label("unaware_termination", "present", "unaware_termination", spans, note),)
    present: Present = "absent" if how in EMPTY else "not_applicable"
    return (label("unaware_termination", present, "unaware_termination", note=f"ended by {how}"),)


def _overrun(view: TraceView) -> Label:
    complete = _complete_at(view)
    late = [call for call in view.calls if complete is not None and call.i > complete]
    share = len(late) / len(view.calls) if view.calls else 0.0
    if len(late) >= MIN_OVERRUN and share > MIN_SHARE:
        note = f"{len(late)} of {len(view.calls)} calls after the answer was complete"
        spans = [span(call.event) for call in late]
        return label("unaware_termination", "present", "unaware_termination", spans, note, share)
    return label("unaware_termination", "absent", "unaware_termination", value=share)


def _complete_at(view: TraceView) -> int | None:
    """Event number from which on the answer was complete and shown to be so; None when it never was."""
    needed = [view.last_change, *(call.i for call in _cited(view))]
    for entity in view.factors:
        name = object_name(entity["name"])
        tests, suspected = tests_of(view, name), suspected_at(view, name)
        # A suspicion that only the submission itself puts into words does not say when it arose.
        if suspected is not None and view.calls and suspected < view.calls[-1].i:
            needed.append(suspected)
        needed += [test.i for test in tests[:1]]
    complete = max(needed, default=-1)
    names = [object_name(entity["name"]) for entity in view.factors]
    shown = [
        message.i
        for message in view.said
        if message.i >= complete
        and _CONCLUDED.search(message.text)
        and all(n in message.text.lower() for n in names)
    ]
    if view.changes:
        reads = [(call.i, alerts) for call, alerts in alert_reads(view) if call.i > view.last_change]
        shown += [i for i, alerts in reads if view.resolved and not alerts and i >= complete]
        shown.append(max([complete, *(i for i, _ in reads)]))
    return min(shown, default=None)


def _cited(view: TraceView) -> list[Call]:
    assert view.final is not None
    texts = [entity.get("evidence", "") for entity in view.factors]
    texts.append(view.final.submission.get("resolution_evidence", ""))
    cited = (call_id for text in texts for call_id in citations(text))
    return [_first_asked(view, view.by_id[call_id]) for call_id in cited if call_id in view.by_id]


def _first_asked(view: TraceView, call: Call) -> Call:
    """The first call since the last change that asked the same: asking again for more of it adds no question."""
    since = max((change.i for change in view.changes if change.i < call.i), default=-1)
    return next((c for c in view.calls if since < c.i < call.i and c.ok and c.key == call.key), call)
