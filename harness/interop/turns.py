"""A trace as turns: what exporters to other systems' formats start from.

Owns: the grouping of events into messages and agent turns. Does not own: any format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from harness.trace import AssistantMessage, Event, ModelCall, SystemMessage, ToolCall, ToolResult, UserMessage


@dataclass
class Turn:
    """One message to the agent, or one answer of its model with the tool calls that it asked for."""

    source: Literal["system", "user", "agent"]
    role: str
    at: float
    """Environment seconds since the agent began."""
    message: SystemMessage | UserMessage | AssistantMessage | None = None
    model_call: ModelCall | None = None
    calls: list[ToolCall] = field(default_factory=list)
    results: dict[str, ToolResult] = field(default_factory=dict)
    """By call id."""
    beside: list[Event] = field(default_factory=list)
    """Everything else that happened until the next turn: guard firings, hand-overs, alerts, the end."""


def turns_of(events: Iterable[Event]) -> list[Turn]:
    """Turns in the order in which they began. Events before the first message stand beside the first turn."""
    turns: list[Turn] = []
    asked: dict[str, Turn] = {}
    early: list[Event] = []
    for event in events:
        match event:
            case SystemMessage() | UserMessage():
                source: Literal["system", "user"] = "system" if isinstance(event, SystemMessage) else "user"
                turns.append(Turn(source, event.role, event.t, message=event))
            case ModelCall():
                turns.append(Turn("agent", event.role, event.t, model_call=event))
            case AssistantMessage():
                _agent_turn(turns, event, fresh=bool(turns and (turns[-1].message or turns[-1].calls)))
                turns[-1].message = event
            case ToolCall():
                _agent_turn(turns, event, fresh=False)
                turns[-1].calls.append(event)
                asked[event.call_id] = turns[-1]
            case ToolResult() if event.call_id in asked:
                asked[event.call_id].results[event.call_id] = event
            case _:
                (turns[-1].beside if turns else early).append(event)
    if turns:
        turns[0].beside[:0] = early
    return turns


def _agent_turn(turns: list[Turn], event: Event, fresh: bool) -> None:
    """Make sure that the last turn is one of the agent's, in the event's role."""
    last = turns[-1] if turns else None
    if last is None or last.source != "agent" or last.role != event.role or fresh:
        turns.append(Turn("agent", event.role, event.t))
