"""ATIF, the agent trajectory interchange format: one JSON object with `schema_version` ATIF-v1.x and `steps`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.interop.imported import Broken, Imported, Item, arguments, failed, numbered, text_content
from harness.trace import AssistantMessage, Event, SystemMessage, ToolCall, ToolResult, UserMessage


def sniff(path: Path, head: bytes) -> bool:
    """It names its schema."""
    return b'"schema_version"' in head and b"ATIF" in head


def read(path: Path) -> Iterator[Item]:
    """The one trajectory of a file."""
    try:
        given = json.loads(path.read_bytes())
        events = numbered(event for step in given["steps"] for event in _step(step))
        agent = given.get("agent") or {}
        group = " ".join(str(agent.get(key)) for key in ("name", "model_name") if agent.get(key))
        yield Imported(str(given.get("session_id") or path), group or path.parent.name, events)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield Broken(str(path), f"not a readable trajectory: {error!r}")


def _step(step: dict[str, Any]) -> Iterator[Event]:
    text = text_content(step.get("message"))
    if step.get("source") == "system":
        yield SystemMessage(text=text)
    elif step.get("source") == "user":
        yield UserMessage(text=text)
    else:
        reasoning = str(step.get("reasoning_content") or "")
        if text or reasoning:
            yield AssistantMessage(text=text, reasoning=reasoning)
    names: dict[str, str] = {}
    for call in step.get("tool_calls") or ():
        names[call["tool_call_id"]] = call["function_name"]
        args = arguments(call.get("arguments"))
        yield ToolCall(call_id=call["tool_call_id"], name=call["function_name"], args=args)
    for result in (step.get("observation") or {}).get("results") or ():
        source = str(result.get("source_call_id") or "")
        answer = text_content(result.get("content"))
        yield ToolResult(call_id=source, name=names.get(source, ""), ok=not failed(answer), text=answer)
