"""MAST 2.5, ignored other agent's input; in the extended reading also what a tool or validator said
(docs/sources M1). The note says which reading it is.

Decides, where a submission followed a refused one: it is the same, with no change, wait or look at users in
between.
Proposes, for a judge: a call that failed because its object does not exist is made again unchanged (extended);
an object that one role's handoff names is in nothing that the receiver did or said (strict). Without any of
these it proposes absence: a warning that the next claim contradicts takes a reader.
Not: a retry after a time-out; a repair that changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.mast.answers import Finding, found_label
from harness.mast.evidence import SYMPTOM_READS, mentions, object_name
from harness.mast.salience import answer_text
from harness.mast.spans import span
from harness.mast.view import WAIT, Call, TraceType, TraceView
from harness.records import Label
from harness.trace import AgentMessage

SLUGS = ("ignored_input",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "proposes"}
_LASTING = re.compile(
    r"not found|no such|does not exist|unknown|invalid|forbidden|field required|extra inputs|expected", re.I
)
_ENTITY = re.compile(r"\b[\w.-]+/[A-Z][A-Za-z]+/[\w.-]*\w")


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label."""
    sent_again = [*_sent_again(view)]
    if sent_again:
        return (found_label("ignored_input", "ignored_input", sent_again),)
    found = [*_failed_again(view), *_unheard(view)]
    answered = len(view.submissions) > 1
    return (found_label(SLUGS[0], SLUGS[0], found, "decides" if answered and not found else "proposes"),)


def _sent_again(view: TraceView) -> Iterator[Finding]:
    for refused, again in zip(view.submissions, view.submissions[1:], strict=False):
        if refused.result is None or refused.result.ok or refused.key != again.key:
            continue
        between = [call for call in view.calls if refused.i < call.i < again.i]
        if not any(call.changed or call.name == WAIT or call.name in SYMPTOM_READS for call in between):
            where = span(again.event, also=[refused.result])
            yield Finding("extended: a refused submission was sent again unchanged", where)


def _failed_again(view: TraceView) -> Iterator[Finding]:
    failed: dict[tuple[str, str], Call] = {}
    for call in view.calls:
        if call.changed or call.name == WAIT:
            failed.clear()
        earlier = failed.get(call.key)
        if earlier is not None:
            where = span(call.event, also=[earlier.event])
            yield Finding(
                f"extended: {call.name} is made again as it failed in {earlier.event.call_id}", where
            )
        elif call.result is not None and not call.ok and _LASTING.search(call.text[:300]):
            failed[call.key] = call


def _unheard(view: TraceView) -> Iterator[Finding]:
    for message in view.handoffs:
        if not isinstance(message, AgentMessage):
            continue
        heard = _doings(view, message.receiver, message.i)
        for entity in dict.fromkeys(_ENTITY.findall(message.text)):
            if heard and not mentions(heard, object_name(entity)):
                note = f"strict: the {message.receiver} did nothing about {entity}"
                yield Finding(note, span(message, entity))


def _doings(view: TraceView, role: str, after: int) -> str:
    """Everything that a role did or said after an event; the answer counts for whoever comes last."""
    texts = [c.args_text for c in (*view.calls, *view.submissions) if c.event.role == role and c.i > after]
    texts += [f"{said.text}\n{said.reasoning}" for said in view.said if said.role == role and said.i > after]
    texts += [handoff.text for handoff in view.handoffs if handoff.role == role and handoff.i > after]
    return "\n".join([*texts, answer_text(view)]).lower() if texts else ""
