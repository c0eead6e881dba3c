"""Plain OpenAI chat logs: `{"messages": [...]}`, a bare array of messages, or either on each line of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.interop.imported import Broken, Imported, Item, arguments, failed, numbered, text_content
from harness.trace import AssistantMessage, Event, SystemMessage, ToolCall, ToolResult, UserMessage


def sniff(path: Path, head: bytes) -> bool:
    """Messages with roles."""
    return b'"role"' in head and b'"content"' in head and b'"payload"' not in head


def read(path: Path) -> Iterator[Item]:
    """All conversations of a file."""
    if path.suffix == ".jsonl":
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _conversation(line, f"{path}:{number}", path)
        return
    try:
        yield _conversation(path.read_bytes(), str(path), path)
    except OSError as error:
        yield Broken(str(path), str(error))


def _conversation(data: bytes, name: str, path: Path) -> Item:
    try:
        given = json.loads(data)
        messages = given["messages"] if isinstance(given, dict) else given
        names: dict[str, str] = {}
        events = [event for message in messages for event in _message(message, names)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Broken(name, f"not a readable conversation: {error!r}")
    model = given.get("model") if isinstance(given, dict) else None
    return Imported(name, str(model or path.parent.name), numbered(events))


def _message(message: dict[str, Any], names: dict[str, str]) -> Iterator[Event]:
    text, role = text_content(message.get("content")), str(message.get("name") or "agent")
    match message["role"]:
        case "system" | "developer":
            yield SystemMessage(text=text)
        case "user":
            yield UserMessage(text=text)
        case "assistant":
            reasoning = str(message.get("reasoning_content") or "")
            if text or reasoning:
                yield AssistantMessage(text=text, reasoning=reasoning, role=role)
            for call in message.get("tool_calls") or ():
                names[call["id"]] = call["function"]["name"]
                args = arguments(call["function"].get("arguments"))
                yield ToolCall(call_id=call["id"], name=call["function"]["name"], args=args, role=role)
        case "tool" | "function":
            call_id = str(message.get("tool_call_id") or "")
            yield ToolResult(call_id=call_id, name=names.get(call_id, ""), ok=not failed(text), text=text)
