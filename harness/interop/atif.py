"""ATIF, the agent trajectory interchange format: one JSON object with `schema_version` ATIF-v1.x and `steps`.

A file that `atif_export.py` wrote carries in `extra` what the format has no field for; it is read back as the trace
that it was written from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.interop.atif_export import EVENTS
from harness.interop.imported import Broken, Imported, Item, arguments, failed, numbered, text_content
from harness.trace import (
    AnyEvent,
    AssistantMessage,
    Ended,
    Event,
    SystemMessage,
    ToolCall,
    ToolResult,
    UserMessage,
    of_type,
)


def sniff(path: Path, head: bytes) -> bool:
    """It names its schema."""
    return b'"schema_version"' in head and b"ATIF" in head


def read(path: Path) -> Iterator[Item]:
    """The one trajectory of a file."""
    try:
        given = json.loads(path.read_bytes())
        events = _in_order([event for step in given["steps"] for event in _step(step)])
        agent = given.get("agent") or {}
        group = " ".join(str(agent.get(key)) for key in ("name", "model_name") if agent.get(key))
        yield Imported(str(given.get("session_id") or path), group or path.parent.name, events)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        yield Broken(str(path), f"not a readable trajectory: {error!r}")


def _in_order(events: list[Event]) -> list[Event]:
    """As recorded where every event says its place; otherwise as the steps have them."""
    ended = any(True for _ in of_type(events, Ended))
    if ended and all(event.i >= 0 for event in events):
        return sorted(events, key=lambda event: event.i)
    return numbered(events)


def _step(step: dict[str, Any]) -> Iterator[Event]:
    text, extra = text_content(step.get("message")), step.get("extra") or {}
    place = _place(extra) | {"role": str(extra.get("role") or "agent")}
    if step.get("source") == "system":
        yield SystemMessage(text=text, tools=extra.get("tools"), **place)
    elif step.get("source") == "user":
        yield UserMessage(text=text, **place)
    else:
        reasoning = str(step.get("reasoning_content") or "")
        if text or reasoning:
            yield AssistantMessage(text=text, reasoning=reasoning, **place)
    yield from _calls(step, place["role"])
    yield from msgspec.convert(extra.get(EVENTS) or [], list[AnyEvent])


def _calls(step: dict[str, Any], role: str) -> Iterator[Event]:
    names: dict[str, str] = {}
    for call in step.get("tool_calls") or ():
        names[call["tool_call_id"]] = call["function_name"]
        extra = call.get("extra") or {}
        yield ToolCall(
            call_id=call["tool_call_id"],
            name=call["function_name"],
            args=arguments(call.get("arguments")),
            mutating=extra.get("mutating") is True,
            role=role,
            **_place(extra),
        )
    for result in (step.get("observation") or {}).get("results") or ():
        source, extra = str(result.get("source_call_id") or ""), result.get("extra") or {}
        answer = text_content(result.get("content"))
        yield ToolResult(
            call_id=source,
            name=names.get(source, ""),
            ok=extra["ok"] if isinstance(extra.get("ok"), bool) else not failed(answer),
            text=answer,
            executed=extra.get("executed") is not False,
            role=role,
            **_place(extra),
        )


def _place(extra: dict[str, Any]) -> dict[str, Any]:
    """Place and time of an event, where the file says them."""
    known = isinstance(extra.get("i"), int) and isinstance(extra.get("t"), int | float)
    return {"i": extra["i"], "t": float(extra["t"])} if known else {}
