"""OpenTelemetry GenAI spans as OTLP JSON: `chat` spans with their messages, and `execute_tool` spans.

A chat span carries the whole conversation so far, so only what it has more often than the spans before it becomes an
event. Spans of one trace id form one trace; a file is read as a whole.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.interop.imported import Broken, Imported, Item, arguments, failed, numbered, text_content
from harness.trace import AssistantMessage, Event, SystemMessage, ToolCall, ToolResult, UserMessage

OPERATION = "gen_ai.operation.name"
MESSAGES = ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages")


def sniff(path: Path, head: bytes) -> bool:
    """OTLP JSON."""
    return b'"resourceSpans"' in head


def read(path: Path) -> Iterator[Item]:
    """All traces of a file; each line may be an export of its own."""
    traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
    try:
        for export in _exports(path):
            for resource in export["resourceSpans"]:
                for scope in resource.get("scopeSpans") or ():
                    for span in scope.get("spans") or ():
                        traces[str(span.get("traceId", ""))].append(span)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield Broken(str(path), f"not readable as OTLP: {error!r}")
        return
    for trace_id, spans in traces.items():
        try:
            yield _trace(trace_id, sorted(spans, key=lambda span: int(span.get("startTimeUnixNano", 0))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            yield Broken(f"{path.name}:{trace_id}", f"not a readable trace: {error!r}")


def _exports(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    try:
        return [json.loads(data)]
    except ValueError:
        return [json.loads(line) for line in data.splitlines() if line.strip()]


class _Seen:
    """What became an event already, and what of it the current span has repeated so far."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._repeated: Counter[str] = Counter()

    def next_span(self) -> None:
        """A span tells the conversation from its beginning."""
        self._repeated.clear()

    def is_new(self, key: str) -> bool:
        """Whether the span says this more often than it was told before."""
        self._repeated[key] += 1
        if self._repeated[key] <= self._told[key]:
            return False
        self._told[key] += 1
        return True


def _trace(trace_id: str, spans: list[dict[str, Any]]) -> Imported:
    events: list[Event] = []
    seen = _Seen()
    group = ""
    described = [_attributes(span) for span in spans]
    chats = any(attributes.get(OPERATION) == "chat" for attributes in described)
    for attributes in described:
        seen.next_span()
        group = group or str(
            attributes.get("gen_ai.agent.name") or attributes.get("gen_ai.request.model") or ""
        )
        role = str(attributes.get("gen_ai.agent.name") or "agent")
        if attributes.get(OPERATION) == "execute_tool":
            events += _tool(attributes, role, seen)
        if chats and attributes.get(OPERATION) == "invoke_agent":
            continue  # what the chats below it say is said there in its order
        for key in MESSAGES:
            for message in _messages(attributes.get(key), key):
                events += _new(message, role, seen)
    return Imported(trace_id, group, numbered(events))


def _attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: _value(entry["value"]) for entry in span.get("attributes") or ()}


def _value(value: dict[str, Any]) -> Any:
    """A value of OTLP JSON."""
    if "arrayValue" in value:
        return [_value(item) for item in value["arrayValue"].get("values") or ()]
    if "kvlistValue" in value:
        return {item["key"]: _value(item["value"]) for item in value["kvlistValue"].get("values") or ()}
    return next(iter(value.values()), None)


def _messages(raw: Any, key: str) -> list[dict[str, Any]]:
    given = json.loads(raw) if isinstance(raw, str) else raw or []
    if key == "gen_ai.system_instructions":
        return [{"role": "system", "parts": given}] if given else []
    return list(given)


def _new(message: dict[str, Any], role: str, seen: _Seen) -> Iterator[Event]:
    """Events of a message's parts that were not seen before."""
    for part in message.get("parts") or ():
        kind, call = part.get("type"), str(part.get("id") or "")
        known = f"{kind}:{call}" if call else json.dumps([role, message.get("role"), part], sort_keys=True)
        if not seen.is_new(known):
            continue
        if kind == "tool_call":
            yield ToolCall(call_id=call, name=part["name"], args=arguments(part.get("arguments")), role=role)
        elif kind == "tool_call_response":
            text = text_content(part.get("response", part.get("result")))
            yield ToolResult(call_id=call, name="", ok=not failed(text), text=text, role=role)
        else:
            yield from _said(str(message.get("role")), kind, text_content(part.get("content")), role)


def _said(speaker: str, kind: Any, text: str, role: str) -> Iterator[Event]:
    if not text:
        return
    if speaker == "system":
        yield SystemMessage(text=text, role=role)
    elif speaker == "user":
        yield UserMessage(text=text, role=role)
    else:
        thought = kind == "reasoning"
        yield AssistantMessage(text="" if thought else text, reasoning=text if thought else "", role=role)


def _tool(attributes: dict[str, Any], role: str, seen: _Seen) -> Iterator[Event]:
    call, name = (
        str(attributes.get("gen_ai.tool.call.id") or ""),
        str(attributes.get("gen_ai.tool.name") or ""),
    )
    if seen.is_new(f"tool_call:{call}"):
        given = arguments(attributes.get("gen_ai.tool.call.arguments"))
        yield ToolCall(call_id=call, name=name, args=given, role=role)
    result = attributes.get("gen_ai.tool.call.result")
    if result is not None and seen.is_new(f"tool_call_response:{call}"):
        text = text_content(result)
        ok = "error.type" not in attributes and not failed(text)
        executed = attributes.get("harness.tool.executed") is not False
        yield ToolResult(call_id=call, name=name, ok=ok, text=text, executed=executed, role=role)
