"""Messages on their way to a provider, and the parts of its answer on their way back.

Owns: the two conversions, as pure functions. A reply is never repaired here: what the model wrote is what the
session gets. Only what is sent *again*, as history, is made acceptable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.protocols import Message, RequestedCall, ToolSchema


def tool_schemas(tools: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    """The tools in the OpenAI form."""
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in tools
    ]
    return [{"type": "function", "function": function} for function in functions]


def sendable(message: Message) -> Message:
    """The message in a form that every provider takes: some parse the arguments of earlier calls, and refuse
    the whole conversation when the model once wrote broken JSON; some refuse empty text beside a call."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    return {
        **message,
        "content": message.get("content") or None,
        "tool_calls": [{**call, "function": _function(call["function"])} for call in calls],
    }


def cache_marked(messages: Sequence[Message]) -> list[Message]:
    """Messages that ask the provider to keep the conversation up to here: the system message, which all trials of an
    arm share, and the last one, where the next turn goes on. Providers that cache by themselves need no marks."""
    last = len(messages) - 1
    return [
        _marked(message) if place == last or message["role"] == "system" else message
        for place, message in enumerate(messages)
    ]


def _marked(message: Message) -> Message:
    content = message.get("content")
    if not isinstance(content, str) or not content:
        return message
    part = {"type": "text", "text": content, "cache_control": {"type": "ephemeral"}}
    return {**message, "content": [part]}


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    raw = function.get("arguments") or "{}"
    try:
        valid = isinstance(json.loads(raw), dict)
    except ValueError:
        valid = False
    return {
        "name": function.get("name") or "unnamed",
        "arguments": raw if valid else json.dumps({"malformed_arguments": raw}),
    }


def requested_calls(tool_calls: Sequence[Any], turn: int) -> tuple[RequestedCall, ...]:
    """The calls as the model wrote them. A call without an id gets one that is unique in its conversation."""
    calls = []
    for number, call in enumerate(tool_calls):
        function = getattr(call, "function", None)
        arguments = getattr(function, "arguments", None) or ""
        raw = arguments if isinstance(arguments, str) else json.dumps(arguments)
        name = str(getattr(function, "name", None) or "")
        calls.append(
            RequestedCall(id=getattr(call, "id", None) or f"call_{turn}_{number}", name=name, arguments=raw)
        )
    return tuple(calls)


def text_of(content: Any) -> str:
    """Content as text; some providers answer with a list of parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return json.dumps(content, default=str)
