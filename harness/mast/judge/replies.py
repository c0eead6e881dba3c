"""What a reply of the judge says: strictly read, with every quote checked against the events.

Owns: reading and checking. A mode that a reply does not answer, answers twice differently or answers in another form
is missing (None), never "no"; a yes whose evidence does not stand in the trace is missing too (docs/sources M2).
Names and codes are compared as a whole; nothing is searched for inside of a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from harness.mast.judge.questions import REPORT
from harness.mast.judge.script import Line
from harness.mast.taxonomy import taxonomy
from harness.protocols import ModelReply
from harness.records import Span

Vote = Literal["yes", "no", "cannot_tell"]
VOTES: tuple[Vote, ...] = ("yes", "no", "cannot_tell")
MIN_QUOTE = 4
MAX_QUOTE = 300


class Said(NamedTuple):
    """One usable answer about one mode."""

    vote: Vote
    spans: tuple[Span, ...]
    reason: str


class Reading(NamedTuple):
    """What one reply says."""

    answers: dict[str, Said]
    """Modes that it answers usably; all others are missing."""
    ledger: str
    problem: str
    """Why answers are missing; empty when none are."""


def read_reply(reply: ModelReply, slugs: Sequence[str], lines: Mapping[int, Line]) -> Reading:
    """Read a reply to a question about `slugs`."""
    report = _report(reply)
    if report is None:
        return Reading({}, "", f"no JSON object in the reply ({reply.finish})")
    given: dict[str, list[Said | None]] = {}
    for item in report["answers"] if isinstance(report.get("answers"), list) else []:
        slug = _slug(item.get("slug"), slugs) if isinstance(item, dict) else None
        if slug is not None:
            given.setdefault(slug, []).append(_said(item, lines))
    answers: dict[str, Said] = {}
    problems = []
    for slug in slugs:
        said = [one for one in given.get(slug, []) if one is not None]
        if said and len({one.vote for one in said}) == 1:
            answers[slug] = said[0]
        elif slug not in given:
            problems.append(f"{slug}: not answered")
        else:
            problems.append(f"{slug}: {'contradicts itself' if said else 'evidence or answer not usable'}")
    ledger = report.get("ledger")
    return Reading(answers, ledger if isinstance(ledger, str) else "", "; ".join(problems))


def _report(reply: ModelReply) -> dict[str, Any] | None:
    texts = [call.arguments for call in reply.calls if call.name == REPORT] or [_unfenced(reply.text)]
    try:
        parsed = json.loads(texts[-1])
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _unfenced(text: str) -> str:
    """A reply that is one fenced block of JSON is that JSON."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.removeprefix("```json").removeprefix("```").removesuffix("```")
    return stripped


def _slug(name: object, slugs: Sequence[str]) -> str | None:
    """The mode that a name stands for: its slug, or one of its published names as a whole."""
    if not isinstance(name, str):
        return None
    wanted = _plain(name)
    modes = taxonomy().modes
    for slug in slugs:
        names = modes[slug].names if slug in modes else ()
        if wanted in {_plain(slug), *map(_plain, names)}:
            return slug
    return None


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())


def _said(item: Mapping[str, Any], lines: Mapping[int, Line]) -> Said | None:
    raw = item.get("present")
    vote = next((vote for vote in VOTES if isinstance(raw, str) and raw.strip().lower() == vote), None)
    if vote is None:
        return None
    given = item.get("spans")
    spans = tuple(
        span
        for entry in (given if isinstance(given, list) else [])
        if (span := _span(entry, lines)) is not None
    )
    if vote == "yes" and not spans:
        return None
    reason = item.get("reason")
    return Said(vote, spans, reason[:500] if isinstance(reason, str) else "")


def _span(entry: object, lines: Mapping[int, Line]) -> Span | None:
    """The evidence, if its quote stands in one of the events that it names."""
    if not isinstance(entry, dict) or not isinstance(entry.get("quote"), str):
        return None
    numbers = entry.get("events")
    events = [i for i in numbers if isinstance(i, int) and i in lines] if isinstance(numbers, list) else []
    quote = " ".join(entry["quote"].split())
    if len(quote) < MIN_QUOTE:
        return None
    holders = [i for i in events if quote in " ".join(lines[i].text.split())]
    if not holders:
        return None
    others = [i for i in events if i != holders[0]]
    return Span(events=(holders[0], *others), quote=quote[:MAX_QUOTE])
