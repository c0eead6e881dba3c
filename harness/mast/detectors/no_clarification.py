"""MAST 2.2, fail to ask for clarification: what is unclear is guessed at (docs/sources M1).

Nobody can be asked here, so this is about assumptions that are neither probed nor marked as revisable.
Proposes, for a judge: the answer, or the words before a change, assume something of an object that no read
tested; or an identifier that a tool said was ambiguous is used without a further look. Never decides: whether
an assumption does harm is a judgement.
Not: a clear rule broken (disobey_task); an assumption that a read tests afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.mast.answers import Finding, found_label
from harness.mast.evidence import mentions, object_name, tests_of
from harness.mast.salience import target
from harness.mast.spans import span
from harness.mast.view import TraceType, TraceView
from harness.records import Label

SLUGS = ("no_clarification",)
DECLARES: dict[TraceType, str] = {"single": "proposes", "roles": "proposes", "log": "proposes"}
ASSUMES = re.compile(
    r"\b(?:(?:i|we) (?:will |'ll )?(?:just )?(?:assume|guess|presume|suppose)|assum(?:e|ed|ing) that"
    r"|presumably|probably|my guess)\b",
    re.I,
)
_AMBIGUOUS = re.compile(r'"warning":"[^"]*(?:several|multiple|ambiguous|matches)', re.I)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One proposal."""
    found = [*_assumed_in_words(view), *_ambiguous(view)]
    for answer in view.answers:
        found += _assumed_in_answer(answer)
    return (found_label(SLUGS[0], SLUGS[0], found, "proposes"),)


def _assumed_in_answer(view: TraceView) -> Iterator[Finding]:
    assert view.final is not None
    for entity in view.diagnosis.get("entities") or ():
        name, match = object_name(entity["name"]), ASSUMES.search(str(entity.get("reasoning", "")))
        if match and not tests_of(view, name):
            yield Finding(f"the answer assumes {name} without a test", span(view.final, match.group()))


def _assumed_in_words(view: TraceView) -> Iterator[Finding]:
    for message in view.said:
        match = ASSUMES.search(message.text)
        if match is None:
            continue
        acted = next((call for call in view.calls if call.event.mutating and call.i > message.i), None)
        if view.type == "log":
            yield Finding("something is assumed", span(message, match.group()))
        elif acted is not None and _untested(view, acted.i, target(acted)):
            where = span(message, match.group(), also=[acted.event])
            yield Finding(f"acts on {target(acted)} on an assumption", where)


def _untested(view: TraceView, before: int, name: str) -> bool:
    return not any(call.i < before for call in tests_of(view, name))


def _ambiguous(view: TraceView) -> Iterator[Finding]:
    for place, call in enumerate(view.calls):
        if call.result is None or not _AMBIGUOUS.search(call.text[:400]):
            continue
        later = view.calls[place + 1 :]
        name = target(call)
        if name and not any(other.reads and mentions(other.args_text, name) for other in later):
            yield Finding(f"{name} was ambiguous and not looked at again", span(call.result))
