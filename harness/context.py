"""The finite context window of a conversation, enforced for all arms alike.

Owns: how large messages are taken to be, and what is left out when they no longer fit: the oldest tool
results, never instructions or the model's own words. Does not own: smarter compaction (guards may rewrite
messages first) or the record of what was lost (`session.py` writes it into the trace).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from harness.protocols import Message, ToolSchema

CHARS_PER_TOKEN = 4
ANSWER_TOKENS = 4096
"""Kept free for the model's answer."""
LEFT_OUT = "(left out: beyond the context window)"


class ContextConfig(BaseModel):
    """The context window of every model of an experiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int | None = Field(default=None, ge=1_000)
    """Tokens of one request, answer included; null takes the model's own window, where it is known."""


class ContextWindow:
    """Fits the messages of one request into a number of tokens; None means no limit."""

    def __init__(self, tokens: int | None) -> None:
        self.tokens = tokens

    def room(self, schemas: Sequence[ToolSchema]) -> int | None:
        """Tokens that the messages may take beside tool schemas and answer; at least a quarter of all."""
        if self.tokens is None:
            return None
        taken = sum(_characters(one) for one in schemas)
        return max(self.tokens // 4, self.tokens - ANSWER_TOKENS - taken // CHARS_PER_TOKEN)

    @staticmethod
    def fit(messages: Sequence[Message], room: int | None) -> Sequence[Message]:
        """The messages with as many of the oldest tool results left out as it takes; unchanged if they fit."""
        excess = 0 if room is None else size_of(messages) - room
        if excess <= 0:
            return messages
        fitted = list(messages)
        for place, message in enumerate(messages):
            if excess <= 0:
                break
            content = str(message.get("content") or "")
            if message["role"] == "tool" and len(content) > len(LEFT_OUT) + 8:
                stub = f"[{message['tool_call_id']}] {LEFT_OUT}"
                fitted[place] = {**message, "content": stub}
                excess -= (len(content) - len(stub)) // CHARS_PER_TOKEN
        return fitted


def _characters(schema: ToolSchema) -> int:
    """Length of a schema as it is sent; worked out once for each name and description."""
    key = (schema.name, schema.description)
    if key not in _SCHEMA_LENGTHS:
        _SCHEMA_LENGTHS[key] = len(schema.description) + len(json.dumps(dict(schema.parameters)))
    return _SCHEMA_LENGTHS[key]


_SCHEMA_LENGTHS: dict[tuple[str, str], int] = {}


def size_of(messages: Sequence[Message]) -> int:
    """Estimated tokens of messages with their tool calls."""
    characters = 0
    for message in messages:
        characters += len(str(message.get("content") or ""))
        for call in message.get("tool_calls") or ():
            characters += len(call["function"]["name"]) + len(call["function"]["arguments"])
    return characters // CHARS_PER_TOKEN


def shortened(before: Sequence[Message], after: Sequence[Message]) -> list[str]:
    """Ids of the calls whose results are shorter in `after`, or gone."""
    kept = {m["tool_call_id"]: len(str(m.get("content") or "")) for m in after if m["role"] == "tool"}
    return [
        message["tool_call_id"]
        for message in before
        if message["role"] == "tool"
        and kept.get(message["tool_call_id"], -1) < len(str(message.get("content") or ""))
    ]
