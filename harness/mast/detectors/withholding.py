"""MAST 2.4, information withholding: what one holds and another needs is not passed on (docs/sources M1).

Proposes, for a judge. In a team: an alarming fact (OOMKilled, ImagePullBackOff, ...) that a role read about an
object is in none of its handoffs and not in the answer. For one agent, in the extended reading: such a fact
reaches neither the agent's words nor the answer. Never decides: whether the fact was needed is a judgement.
Not: passed on and ignored (ignored_input).
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.mast.answers import Finding, found_label
from harness.mast.evidence import mentions
from harness.mast.salience import Alarm, alarms, answer_text
from harness.mast.spans import label, span
from harness.mast.view import TraceType, TraceView
from harness.records import Label

SLUGS = ("withholding",)
DECLARES: dict[TraceType, str] = {"single": "proposes", "roles": "proposes", "log": "not_applicable"}


def detect(view: TraceView) -> tuple[Label, ...]:
    """One proposal; nothing can be withheld before there is an answer or a handoff."""
    if view.final is None and not view.handoffs:
        return (label("withholding", "not_applicable", "withholding", note="nothing was passed on"),)
    found = [*_withheld(view)]
    return (found_label(SLUGS[0], SLUGS[0], found, "proposes"),)


def _withheld(view: TraceView) -> Iterator[Finding]:
    team = view.type == "roles" and bool(view.handoffs)
    passed = {role: _passed_on(view, role if team else None) for role in {c.event.role for c in view.calls}}
    known: set[Alarm] = set()
    for call in view.calls:
        if not call.reads or call.result is None:
            continue
        text = passed[call.event.role]
        for alarm in alarms(call.text):
            if alarm in known or not alarm.name:
                continue
            known.add(alarm)
            if not mentions(text, alarm.name) and alarm.word.lower() not in text:
                to = "passed on" if team else "used"
                yield Finding(f"{alarm.word} of {alarm.name} was not {to}", span(call.result, alarm.word))


def _passed_on(view: TraceView, role: str | None) -> str:
    """What left a role: its handoffs and the answer; for one agent also its words."""
    texts = [answer_text(view)]
    texts += [handoff.text for handoff in view.handoffs if role is None or handoff.role == role]
    if role is None:
        texts += [said.text for said in view.said]
    return "\n".join(texts).lower()
