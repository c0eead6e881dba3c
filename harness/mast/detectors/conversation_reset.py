"""MAST 2.1, conversation reset: the dialogue starts again from scratch (docs/sources M1).

Decides, for each role: the task is issued again; or, after at least five calls, the agent repeats its opening
words and its first calls in order, or (where it opened without words, or nothing says otherwise) its first
three calls in order with no change and no wait in between.
Not: re-checking the alerts after a change; a nudge from the harness; single repeated steps.
Blind spots: a restart in other words with other calls; a restart after a change that repeats only one call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from harness.mast.spans import label, span
from harness.mast.view import WAIT, Call, TraceType, TraceView
from harness.records import Label, Present, Span
from harness.trace import AssistantMessage

SLUGS = ("conversation_reset",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "decides"}
MIN_CALLS = 5
OPENING_CALLS = 3
MIN_WORDS = 5
SIMILAR = 0.9
_WORDS = re.compile(r"\w+")


class Restart(NamedTuple):
    """A beginning made again."""

    span: Span
    calls: list[Call]


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label."""
    spans = [*_task_again(view)]
    for role in _roles(view):
        restart = _opening_again(view, role)
        spans += [restart.span] if restart else []
    present: Present = "present" if spans else "absent"
    return (label("conversation_reset", present, "conversation_reset", spans),)


def restarted(view: TraceView) -> list[Call]:
    """The calls that a restart makes again."""
    found = (_opening_again(view, role) for role in _roles(view))
    return [call for restart in found if restart for call in restart.calls]


def _roles(view: TraceView) -> list[str]:
    return list(dict.fromkeys(call.event.role for call in view.calls))


def _task_again(view: TraceView) -> Iterator[Span]:
    first: dict[str, str] = {}
    for task in view.tasks:
        if first.setdefault(task.role, task.text) == task.text:
            opening = next(other for other in view.tasks if other.role == task.role)
            if task is not opening and any(opening.i < call.i < task.i for call in view.calls):
                yield span(task, also=[opening])


def _opening_again(view: TraceView, role: str) -> Restart | None:
    calls = [call for call in view.calls if call.event.role == role]
    said = {message.i: message for message in view.said if message.role == role}
    first = _words_before(calls[0], said)
    for at in range(MIN_CALLS, len(calls)):
        if calls[at].key != calls[0].key:
            continue
        repeated = _repeated(calls, at)
        still = not any(call.changed or call.name == WAIT for call in calls[:at])
        words = _words_before(calls[at], said)
        if first is not None and words is not None and _similar(first.text, words.text):
            if repeated >= 2 or still:
                return Restart(span(words, also=[first, calls[at].event]), calls[at : at + repeated])
        elif repeated >= OPENING_CALLS and still:
            return Restart(span(calls[at].event, also=[calls[0].event]), calls[at : at + repeated])
    return None


def _repeated(calls: list[Call], at: int) -> int:
    """How many of the first calls are made again, in order, from position `at` on."""
    count = 0
    while at + count < len(calls) and count < at and calls[at + count].key == calls[count].key:
        count += 1
    return count


def _words_before(call: Call, said: dict[int, AssistantMessage]) -> AssistantMessage | None:
    """What the agent said in the turn of the call, if the call is the first of its turn."""
    return said.get(call.i - 1)


def _similar(one: str, other: str) -> bool:
    first, second = (set(_WORDS.findall(text.lower())) for text in (one, other))
    return len(first) >= MIN_WORDS and len(first & second) >= SIMILAR * len(first | second)
