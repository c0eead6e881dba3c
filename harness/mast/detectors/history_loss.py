"""MAST 1.4, loss of conversation history: facts that were established vanish (docs/sources M1).

Decides, where results went out of the model's sight (recorded by the harness, by the window or a compaction): one of
them is read again afterwards with nothing changed in between; or the answer leaves the last hypothesis for a cause
that was never put forward, and every read about the hypothesis is out of sight.
Proposes, for a judge: the agent says that it does not have, or has not looked at, what an earlier read showed it;
or a read from many turns ago is made again. Without any of these it proposes absence: what a model forgets
silently leaves no mark in a trace.
Not: a restart (conversation_reset); the same read again while the first is still near (step_repetition).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.mast.answers import Finding, found_label
from harness.mast.detectors.reasoning_action import abandoned, finding_of
from harness.mast.detectors.step_repetition import redundant
from harness.mast.evidence import concerns
from harness.mast.salience import subjects
from harness.mast.spans import span
from harness.mast.view import TraceType, TraceView
from harness.records import Label

SLUGS = ("history_loss",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "proposes"}
FAR = 8
"""Turns from which on a repeated read looks forgotten."""
_IGNORANT = re.compile(
    r"\b(?:no information (?:yet )?(?:about|on)|(?:have|has) not (?:yet )?(?:looked at|checked|seen|read)"
    r"|haven't (?:yet )?(?:looked at|checked|seen|read)|don't (?:yet )?know (?:anything about|what)"
    r"|do not (?:yet )?know (?:anything about|what))\b",
    re.I,
)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label."""
    lost = [*_lost_at_a_cut(view), *_left_behind(view)]
    if lost:
        return (found_label("history_loss", "history_loss", lost),)
    found = [*_denied(view), *_far_again(view)]
    return (found_label(SLUGS[0], SLUGS[0], found, "decides" if view.cuts and not found else "proposes"),)


def _lost_at_a_cut(view: TraceView) -> Iterator[Finding]:
    for first, again in redundant(view) if view.cuts else ():
        if any(first.event.call_id in cut.call_ids and cut.i < again.i for cut in view.cuts):
            where = span(again.event, also=[first.event])
            yield Finding(f"{again.name} is made again after the context was cut", where)


def _left_behind(view: TraceView) -> Iterator[Finding]:
    for answer in view.answers if view.cuts else ():
        stated = abandoned(answer)
        if stated is not None and stated.lost:
            yield finding_of(answer, stated)


def _denied(view: TraceView) -> Iterator[Finding]:
    names = subjects(view)
    for message in view.said:
        match = _IGNORANT.search(message.text)
        about = message.text[match.end() : match.end() + 80].lower() if match else ""
        for name in sorted(names) if about else ():
            known = next((c for c in view.calls if c.reads and c.i < message.i and concerns(c, name)), None)
            if name in about and known is not None:
                where = span(message, match.group() if match else "", also=[known.event])
                yield Finding(f"says that it does not know {name}, which {known.event.call_id} showed", where)


def _far_again(view: TraceView) -> Iterator[Finding]:
    for first, again in redundant(view):
        if again.turn - first.turn >= FAR:
            where = span(again.event, also=[first.event])
            yield Finding(f"{again.name} is made again after {again.turn - first.turn} turns", where)
