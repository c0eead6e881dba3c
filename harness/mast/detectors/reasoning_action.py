"""MAST 2.6, reasoning-action mismatch: what is done differs from what was said (docs/sources M1).

Decides, where the agent announced a tool by name or stated a hypothesis as namespace/Kind/name: it announces one
tool and calls another in the same turn, never the announced one; it answers only causes that it never put forward,
and not its last hypothesis, which its own words have not given up.
Proposes, for a judge: the answer names a cause that the agent's own words ruled out; and absence where all plans
are in free words.
Not: faithful execution of bad reasoning; a hypothesis that was given up, in words or for one that the answer names;
one whose reads all went out of sight (history_loss).
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator
from typing import NamedTuple

from harness.mast.answers import Finding, found_label
from harness.mast.evidence import mentions, object_name
from harness.mast.spans import span
from harness.mast.view import Call, TraceType, TraceView
from harness.records import Basis, Label
from harness.trace import AssistantMessage

SLUGS = ("reasoning_action",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "proposes"}
_ANNOUNCED = re.compile(
    r"\b(?:I(?:'ll| will| am going to|'m going to)|let me|let us|let's)\s+(?:now\s+|next\s+|then\s+)?"
    r"(?:call|run|use|invoke|execute)\s+`?([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`?",
    re.I,
)
_HYPOTHESIS = re.compile(
    r"(?:hypothesis|root cause|culprit|cause)\s*(?:is|:|=|must be|seems to be)\s*:?\s*`?([\w.-]+/[A-Z]\w+/[\w.-]*\w)",
    re.I,
)
_GIVEN_UP = re.compile(
    r"\b(?:lies? elsewhere|(?:is|was|are) not (?:the )?(?:root )?cause"
    r"|nothing (?:was|is|has been) (?:changed|wrong) there"
    r"|(?:hypothesis|suspicion) (?:is|was) (?:wrong|refuted)|rul(?:ed|es|ing) (?:it|this|that) out)\b",
    re.I,
)
_RULED_OUT = re.compile(
    r"\b(?:rule[ds]? out|is not the (?:root )?cause|is healthy|is fine|not responsible)\b", re.I
)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label."""
    found = [*_announced(view)]
    for answer in view.answers:
        found += _argued_for_another(answer)
    if found:
        return (found_label(SLUGS[0], SLUGS[0], found, _basis(view)),)
    doubtful = [finding for answer in view.answers for finding in _ruled_out(answer)]
    return (found_label(SLUGS[0], SLUGS[0], doubtful, "proposes" if doubtful else _basis(view)),)


def _basis(view: TraceView) -> Basis:
    """Presence and absence are decided in the same traces, or shares would count positives only."""
    typed = any(_ANNOUNCED.search(said.text) or _HYPOTHESIS.search(said.text) for said in view.said)
    return "decides" if typed else "proposes"


def _announced(view: TraceView) -> Iterator[Finding]:
    of_turn: dict[int, list[Call]] = {}
    starts = [message.i for message in view.said]
    for call in (*view.calls, *view.submissions):
        place = bisect(starts, call.i)
        if place:
            of_turn.setdefault(starts[place - 1], []).append(call)
    for message in view.said:
        match = _ANNOUNCED.search(message.text)
        calls = of_turn.get(message.i, []) if match else []
        if match and calls and all(call.name != match.group(1).lower() for call in calls):
            where = span(message, match.group(1), also=[calls[0].event])
            yield Finding(f"announces {match.group(1)}, calls {calls[0].name}", where)


def _argued_for_another(view: TraceView) -> Iterator[Finding]:
    stated = abandoned(view)
    if stated is not None and not stated.lost:
        yield finding_of(view, stated)


class Stated(NamedTuple):
    """A hypothesis as the agent's words put it."""

    message: AssistantMessage
    name: str
    lost: bool
    """Every read that asked about it is out of the model's sight."""


def finding_of(view: TraceView, stated: Stated) -> Finding:
    """That an answer names another cause."""
    assert view.final is not None
    answered = view.factors[0]["name"]
    return Finding(
        f"argued for {stated.name}, answers {answered}", span(view.final, answered, also=[stated.message])
    )


def abandoned(view: TraceView) -> Stated | None:
    """The last hypothesis, where the answer names only causes that were never put forward and nothing gave it up."""
    stated: tuple[AssistantMessage, str] | None = None
    words = view.said[:-1] if view.said and view.said[-1].i > _last_call(view) else view.said
    for message in words:
        if _GIVEN_UP.search(message.text):
            stated = None
        for name in _HYPOTHESIS.findall(message.text):
            stated = (message, name)
    if stated is None or not view.factors:
        return None
    names = [object_name(entity["name"]) for entity in view.factors]
    if object_name(stated[1]) in names or any(_argued(view, name) for name in names):
        return None
    return Stated(*stated, lost=_out_of_sight(view, object_name(stated[1])))


def _out_of_sight(view: TraceView, name: str) -> bool:
    cut = {call_id for reduced in view.cuts for call_id in reduced.call_ids}
    about = [
        call.event.call_id for call in view.calls if call.reads and mentions(call.args_text.lower(), name)
    ]
    return bool(about) and cut.issuperset(about)


def _last_call(view: TraceView) -> int:
    return view.calls[-1].i if view.calls else -1


def _argued(view: TraceView, name: str) -> bool:
    """Whether the agent ever put the object forward as a hypothesis."""
    return any(
        object_name(stated) == name
        for message in view.said
        if message.i < _last_call(view)
        for stated in _HYPOTHESIS.findall(message.text)
    )


def _ruled_out(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    for entity in view.factors:
        name = object_name(entity["name"])
        last = next((m for m in reversed(view.said[:-1]) if mentions(m.text.lower(), name)), None)
        match = _RULED_OUT.search(last.text) if last else None
        if last and match:
            yield Finding(f"{name} was ruled out before", span(last, match.group(), also=[view.final]))
