"""Codex CLI rollouts as in ITBench-Trajectories: `session.jsonl`, with `agent_output.json` beside it where the run
left one (docs/sources I3). Tools of an MCP server lose the prefix `mcp__server__`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.interop.imported import Broken, Imported, Item, arguments, failed, numbered, text_content
from harness.mast.view import IMPORTED
from harness.trace import (
    AssistantMessage,
    Ended,
    Event,
    Final,
    SystemMessage,
    ToolCall,
    ToolResult,
    UserMessage,
)

OUTER = frozenset({"response_item", "event_msg"})


def sniff(path: Path, head: bytes) -> bool:
    """JSON lines with a payload."""
    first = head.split(b"\n", 1)[0]
    return path.suffix == ".jsonl" and first.startswith(b"{") and b'"payload"' in first


def read(path: Path) -> Iterator[Item]:
    """The one session of a file."""
    try:
        events = [*session(path)]
    except (OSError, ValueError) as error:
        yield Broken(str(path), f"not a readable session: {error}")
        return
    answer = _answer(path.with_name("agent_output.json"))
    if answer is not None:
        events += [Final(submission=answer), Ended(how="submitted")]
    yield Imported(str(path), _group(path), numbered(events, None if answer is not None else IMPORTED))


def session(path: Path) -> Iterator[Event]:
    """Events of a rollout, in order. Raises ValueError naming a line that is no JSON object."""
    names: dict[str, str] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                payload = entry.get("payload") or {}
            except (ValueError, AttributeError) as error:
                raise ValueError(f"line {number}: {error}") from None
            kind = payload.get("type", "") if entry.get("type") in OUTER else entry.get("type", "")
            event = _event(kind, payload, names)
            if event is not None:
                yield event


def _event(kind: str, payload: dict[str, Any], names: dict[str, str]) -> Event | None:
    if kind == "message":
        return _message(payload)
    if kind == "reasoning":
        text = text_content(payload.get("summary") or payload.get("content"))
        return AssistantMessage(reasoning=text) if text else None
    if kind in ("function_call", "custom_tool_call"):
        call, name = str(payload.get("call_id", "")), str(payload.get("name", "")).rsplit("__", 1)[-1]
        names[call] = name
        return ToolCall(
            call_id=call, name=name, args=arguments(payload.get("arguments", payload.get("input")))
        )
    if kind in ("function_call_output", "custom_tool_call_output"):
        call = str(payload.get("call_id", ""))
        text, ok = _output(payload.get("output"))
        return ToolResult(call_id=call, name=names.get(call, ""), ok=ok, text=text)
    return None


def _message(payload: dict[str, Any]) -> Event | None:
    text = text_content(payload.get("content"))
    match payload.get("role"):
        case "assistant":
            return AssistantMessage(text=text)
        case "system" | "developer":
            return SystemMessage(text=text)
        case "user":
            return UserMessage(text=text)
    return None


def _output(raw: Any) -> tuple[str, bool]:
    """Text of a result, and whether the call worked: an exit code of 0 and no text that begins with an error."""
    try:
        parsed = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        parsed = raw
    code = 0
    if isinstance(parsed, dict) and "output" in parsed:
        code = (parsed.get("metadata") or {}).get("exit_code") or 0
        parsed = parsed["output"]
    text = text_content(parsed)
    return text, code == 0 and not failed(text)


def _answer(path: Path) -> dict[str, Any] | None:
    """The diagnosis beside the session; None when there is none that can be read."""
    try:
        given = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(given, dict) or not isinstance(given.get("entities"), list):
        return None
    named = [e for e in given["entities"] if isinstance(e, dict) and (e.get("name") or e.get("id"))]
    entities = [{**e, "name": str(e.get("name") or e.get("id"))} for e in named]
    rest = {part: [e for e in given.get(part) or [] if isinstance(e, dict)] for part in ("propagations",)}
    explained = [e for e in given.get("alerts_explained") or [] if isinstance(e, dict) and "alert" in e]
    return {"diagnosis": {"entities": entities, **rest, "alerts_explained": explained}}


def _group(path: Path) -> str:
    """The model, where the path is that of ITBench-Trajectories (model/sre/Scenario-N/run/session.jsonl)."""
    parts = path.resolve().parts
    at = next((place for place, part in enumerate(parts) if part.startswith("Scenario-")), None)
    return parts[at - 2] if at is not None and at >= 2 else path.parent.name
