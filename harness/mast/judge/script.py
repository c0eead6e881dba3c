"""What the judge reads: events as numbered lines, blind, in windows that lose nothing.

Owns: rendering, blinding, cutting into windows. Left out: model calls (they name the model), guards' own events
(they name the arm) and observer events. The system prompt is shown as far as all arms share it, and names of
guards are replaced in what the agent was told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from harness.agents.prompts import system_prompt
from harness.mast.spans import text_of
from harness.trace import ContextReduced, Ended, Event, GuardFired, ModelCall, SystemMessage, ToolResult

REVIEWER = "the reviewer"
_MEASURED = "stopped_by_guard"


class Line(NamedTuple):
    """One event as the judge reads it."""

    i: int
    """Event number, by which it is cited."""
    head: str
    text: str


def script(events: Iterable[Event]) -> list[Line]:
    """The readable events of a trace, blind."""
    events = [event for event in events if not event.observer]
    guards = sorted({event.guard for event in events if isinstance(event, GuardFired)}, key=len, reverse=True)
    hide = re.compile("|".join(map(re.escape, guards))) if guards else None
    team = len({event.role for event in events}) > 1
    lines = []
    for event in events:
        if isinstance(event, ModelCall | GuardFired):
            continue
        text = _shared(event) if isinstance(event, SystemMessage) else text_of(event)
        if isinstance(event, ContextReduced):
            text = f"results {', '.join(event.call_ids)} are no longer read in full"
        if isinstance(event, Ended):
            text = "stopped from outside" if event.how == _MEASURED else event.how
        lines.append(Line(event.i, _head(event, team), hide.sub(REVIEWER, text) if hide else text))
    return lines


def _shared(event: SystemMessage) -> str:
    """The system prompt without what an arm added to it."""
    base = system_prompt()
    text = base if event.text.startswith(base) else event.text
    return text if event.tools is None else f"{text}\nTools of this role: {', '.join(event.tools)}"


def _head(event: Event, team: bool) -> str:
    kind = str(type(event).__struct_config__.tag)
    if isinstance(event, ToolResult):
        kind += "" if event.ok else " (failed)" if event.executed else " (refused)"
    return f"{kind} by {event.role}" if team else kind


def windows(lines: Sequence[Line], size: int) -> list[str]:
    """The script in texts of about `size` characters. A longer event is continued in the next window, so that
    nothing is cut off, least of all the end."""
    texts: list[str] = []
    current: list[str] = []
    room = size
    for line in lines:
        for part in _parts(line, size):
            if len(part) > room and current:
                texts.append("\n".join(current))
                current, room = [], size
            current.append(part)
            room -= len(part)
    return [*texts, "\n".join(current)] if current else texts


def _parts(line: Line, size: int) -> Iterator[str]:
    if len(line.text) <= size:
        yield f"[{line.i}] {line.head}: {line.text}"
        return
    count = -(-len(line.text) // size)
    for place in range(count):
        yield f"[{line.i}] {line.head}, part {place + 1} of {count}: {line.text[place * size : (place + 1) * size]}"
