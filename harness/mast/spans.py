"""Labels and the evidence that they quote: the text of an event, spans, and a detector's label.

Owns: where a quote comes from and how long it may be. Does not own: what is quoted (detectors).
"""

from __future__ import annotations

from collections.abc import Iterable

from harness.mast.taxonomy import taxonomy
from harness.mast.view import Answer, encode
from harness.records import Basis, Label, Present, Span
from harness.trace import (
    AgentMessage,
    AssistantMessage,
    Ended,
    Event,
    Final,
    PhaseChange,
    SystemMessage,
    ToolCall,
    ToolResult,
    UserMessage,
)

MAX_QUOTE = 160
MAX_SPANS = 12


def text_of(event: Event) -> str:
    """The text of an event, from which quotes are taken."""
    match event:
        case SystemMessage() | UserMessage() | ToolResult():
            return event.text
        case AssistantMessage():
            return f"{event.text}\n{event.reasoning}" if event.reasoning else event.text
        case ToolCall():
            return f"{event.name} {encode(event.args)}"
        case Final():
            return encode(event.submission)
        case AgentMessage() | PhaseChange():
            return event.text
        case Ended():
            return f"{event.how}: {event.detail}" if event.detail else event.how
    return ""


def span(where: Event | Answer, wanted: str = "", also: Iterable[Event | Answer] = ()) -> Span:
    """Evidence: `wanted` as it stands in the event's text, or the beginning of that text."""
    event = where.event if isinstance(where, Answer) else where
    text = text_of(event)
    quote = wanted if wanted and wanted in text else text
    return Span(events=(event.i, *(other.i for other in also)), quote=quote[:MAX_QUOTE])


def label(
    slug: str,
    present: Present,
    detector: str,
    spans: Iterable[Span] = (),
    note: str = "",
    value: float | None = None,
    repaired: bool = False,
    basis: Basis = "decides",
) -> Label:
    """A label of a detector, with the taxonomy's hash."""
    return Label(
        slug=slug,
        present=present,
        source=f"detector:{detector}",
        basis=basis,
        repaired=repaired,
        spans=tuple(spans)[:MAX_SPANS],
        note=note,
        value=value,
        taxonomy=taxonomy().hash,
    )
