"""Chat messages and raw calls: small pure helpers around the OpenAI form.

Owns: building an assistant message, reading a call's arguments, the event that the next guard sees after a
rewrite. Does not own: when any of it happens (`session.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from harness.protocols import (
    GuardEvent,
    Message,
    ObservedToolResult,
    ProposedModelCall,
    ProposedToolCall,
    RequestedCall,
)


def assistant_message(text: str, calls: Sequence[RequestedCall]) -> Message:
    """The model's answer as a chat message."""
    message: Message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return message


def arguments_of(call: RequestedCall) -> dict[str, Any]:
    """The call's arguments as the trace keeps them; text that is no JSON object is kept under `_raw`."""
    try:
        parsed = json.loads(call.arguments or "{}")
    except ValueError:
        return {"_raw": call.arguments}
    return parsed if isinstance(parsed, dict) else {"_raw": call.arguments}


def rewritten(event: GuardEvent, replacement: Any) -> GuardEvent:
    """The event as the next guard sees it after a rewrite."""
    match event:
        case ProposedModelCall(_, tokens, limit):
            return ProposedModelCall(replacement, tokens, limit)
        case ProposedToolCall(call_id, name, _, mutating):
            return ProposedToolCall(call_id, name, replacement, mutating)
        case ObservedToolResult(call_id, name, args, ok, _, mutating):
            return ObservedToolResult(call_id, name, args, ok, replacement, mutating)
    return event
