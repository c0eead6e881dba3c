"""Importers: each format is recognised by content, read into typed events, and a broken trace is reported."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.interop import imported
from harness.interop.imported import Broken, Imported, array_items
from harness.interop.traces import FORMATS, detect, traces
from harness.mast.view import TraceView
from harness.trace import AssistantMessage, Event, Final, ToolCall, ToolResult, UserMessage, encode


def lines(*entries: Any) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def item(kind: str, **payload: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-01-01T00:00:00Z",
        "type": "response_item",
        "payload": {"type": kind, **payload},
    }


SESSION = [
    {"type": "session_meta", "payload": {"originator": "codex_exec"}},
    item("message", role="user", content=[{"type": "input_text", "text": "Alerts are firing."}]),
    item("reasoning", summary=[{"type": "summary_text", "text": "Look at alerts."}]),
    item("function_call", name="mcp__sre_utils__alert_summary", arguments='{"limit": 5}', call_id="a"),
    item("function_call_output", call_id="a", output=json.dumps([{"type": "text", "text": "3 alerts"}])),
    {
        "type": "function_call",
        "payload": {"name": "shell", "arguments": '{"command": ["ls"]}', "call_id": "b"},
    },
    item(
        "function_call_output", call_id="b", output='{"output": "no such file", "metadata": {"exit_code": 2}}'
    ),
    {"type": "event_msg", "payload": {"type": "token_count"}},
    item("message", role="assistant", content=[{"type": "output_text", "text": "Done."}]),
]
ANSWER = {"entities": [{"name": "otel-demo/Deployment/ad", "contributing_factor": True}], "propagations": []}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "You are on call."},
        {"role": "user", "content": [{"type": "text", "text": "Go."}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "x",
                    "type": "function",
                    "function": {"name": "kubectl_get", "arguments": '{"kind": "Pod"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "x", "content": "Error: timeout"},
        {"role": "assistant", "content": "Done."},
    ],
}
ATIF = {
    "schema_version": "ATIF-v1.4",
    "session_id": "s1",
    "agent": {"name": "a", "model_name": "m"},
    "steps": [
        {"step_id": 1, "source": "user", "message": "Go."},
        {
            "step_id": 2,
            "source": "agent",
            "message": "I look.",
            "reasoning_content": "hm",
            "tool_calls": [
                {"tool_call_id": "x", "function_name": "kubectl_get", "arguments": {"kind": "Pod"}}
            ],
            "observation": {"results": [{"source_call_id": "x", "content": "3 pods"}]},
        },
    ],
}


def span(start: int, trace: str, **attributes: Any) -> dict[str, Any]:
    named = [
        {
            "key": key.replace("__", "."),
            "value": {"stringValue": value if isinstance(value, str) else json.dumps(value)},
        }
        for key, value in attributes.items()
    ]
    return {"traceId": trace, "spanId": str(start), "startTimeUnixNano": str(start), "attributes": named}


USER = {"role": "user", "parts": [{"type": "text", "content": "Go."}]}
CALL = {
    "role": "assistant",
    "parts": [{"type": "tool_call", "id": "x", "name": "kubectl_get", "arguments": {"kind": "Pod"}}],
}
RESULT = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "x", "response": "3 pods"}]}
SAID = {"role": "assistant", "parts": [{"type": "text", "content": "Done."}]}
OTEL = {"resourceSpans": [{"scopeSpans": [{"spans": [
    span(2, "t1", gen_ai__operation__name="execute_tool", gen_ai__tool__name="kubectl_get",
         gen_ai__tool__call__id="x", gen_ai__tool__call__result="3 pods"),
    span(1, "t1", gen_ai__operation__name="chat", gen_ai__input__messages=[USER], gen_ai__output__messages=[CALL]),
    span(3, "t1", gen_ai__operation__name="chat", gen_ai__input__messages=[USER, CALL, RESULT],
         gen_ai__output__messages=[SAID]),
    span(9, "t2", gen_ai__operation__name="chat", gen_ai__request__model="m", gen_ai__input__messages=[USER]),
]}]}]}  # fmt: skip
MAD = [
    {
        "mas_name": "AG2",
        "trace_id": 7,
        "trace": {
            "key": "k",
            "index": 0,
            "trajectory": "Solve it.\nuser (to coder):\nplease\ncoder (to user):\n{x}",
        },
        "mast_annotation": {"1.3": 1, "3.2": 0, "3.3": None},
    },
    {"mas_name": "AG2", "trace_id": 8, "trace": {"key": "k"}, "mast_annotation": {}},
]
HUMAN = [
    {
        "round": "Round 3",
        "mas_name": "ChatDev",
        "trace_id": 1,
        "trace": "[2025-01-01 10:00:00 INFO] Coder: hello\n[2025-01-01 10:00:01 INFO] Tester: bye",
        "annotations": [
            {
                "failure mode": "1.5 Step repetition",
                "annotator_1": True,
                "annotator_2": True,
                "annotator_3": False,
            },
            {"failure mode": "3.1 Premature", "annotator_1": False, "annotator_2": True, "annotator_3": None},
        ],
    }
]
OURS: list[Event] = [UserMessage(i=0, text="Go."), ToolCall(i=1, call_id="c1", name="kubectl_get")]


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "codex": lambda d: write(d, "M/sre/Scenario-2/1/session.jsonl", lines(*SESSION)),
    "openai": lambda d: write(d, "chat.json", json.dumps(CHAT)),
    "atif": lambda d: write(d, "trajectory.json", json.dumps(ATIF)),
    "otel": lambda d: write(d, "spans.json", json.dumps(OTEL)),
    "mad": lambda d: write(d, "mad.json", json.dumps(MAD, indent=1)),
    "harness": lambda d: write(d, "trace.jsonl.gz", gzip.compress(encode(OURS))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    assert detect(WRITERS[name](tmp_path)) is FORMATS[name]


def only(path: Path) -> Imported:
    (found,) = traces([path])
    assert isinstance(found, Imported)
    return found


def test_a_codex_session_without_an_answer_is_a_log(tmp_path: Path) -> None:
    found = only(WRITERS["codex"](tmp_path))
    view = TraceView.of(found.events)
    assert found.group == "M"
    assert [call.name for call in view.calls] == ["alert_summary", "shell"]
    assert [call.ok for call in view.calls] == [True, False]
    assert view.by_id["a"].text == "3 alerts"
    assert view.said[0].reasoning == "Look at alerts."
    assert (view.type, [event.i for event in found.events]) == ("log", list(range(len(found.events))))


def test_the_answer_beside_a_codex_session_is_its_submission(tmp_path: Path) -> None:
    path = WRITERS["codex"](tmp_path)
    write(path.parent, "agent_output.json", json.dumps(ANSWER))
    write(path.parent, "judge_output.json", "{}")
    found = only(tmp_path)
    (final,) = [event for event in found.events if isinstance(event, Final)]
    assert final.submission["diagnosis"]["entities"][0]["name"] == "otel-demo/Deployment/ad"
    assert TraceView.of(found.events).type == "single"


@pytest.mark.parametrize("name", ["openai", "atif", "otel"])
def test_messages_calls_and_results_are_kept_in_order(tmp_path: Path, name: str) -> None:
    found = next(iter(traces([WRITERS[name](tmp_path)])))
    assert isinstance(found, Imported)
    kinds = [type(event) for event in found.events]
    assert kinds.count(ToolCall) == kinds.count(ToolResult) == 1
    assert kinds.index(UserMessage) < kinds.index(ToolCall) < kinds.index(ToolResult)
    (call,) = TraceView.of(found.events).calls
    assert (call.name, call.event.args, call.ok) == ("kubectl_get", {"kind": "Pod"}, name != "openai")
    assert any(isinstance(event, AssistantMessage) for event in found.events)


def test_spans_are_grouped_by_trace_and_repeated_messages_read_once(tmp_path: Path) -> None:
    first, second = traces([WRITERS["otel"](tmp_path)])
    assert isinstance(first, Imported)
    assert isinstance(second, Imported)
    assert sum(isinstance(event, UserMessage) for event in first.events) == 1
    assert (second.trace_id, second.group) == ("t2", "m")


def test_mad_rows_become_turns_with_their_labels_and_a_bad_row_is_reported(tmp_path: Path) -> None:
    good, bad = traces([WRITERS["mad"](tmp_path)])
    assert isinstance(good, Imported)
    assert [event.role for event in good.events] == ["agent", "user", "coder", "agent"]
    assert good.release == "agentdash"
    assert good.published == {"1.3": "present", "3.2": "absent", "3.3": "cannot_tell"}
    assert isinstance(bad, Broken)
    assert "trajectory" in bad.why


def test_human_labels_are_majorities_in_the_numbering_of_their_round(tmp_path: Path) -> None:
    found = only(write(tmp_path, "human.json", json.dumps(HUMAN)))
    assert found.release == "iaa_2_3"
    assert found.published == {"1.5": "present", "3.1": "cannot_tell"}
    assert len(found.events) == 3


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_long_array_is_read_object_by_object(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(imported, "CHUNK", size)
    rows = [{"a": 'brace } and "quote" \\'}, {"b": {"c": [1, {"d": "\\\\"}]}}, {}]
    found = [json.loads(part) for part in array_items(io.BytesIO(json.dumps(rows, indent=2).encode()))]
    assert found == rows


def test_a_torn_array_gives_what_is_whole_and_then_says_so(tmp_path: Path) -> None:
    text = json.dumps(MAD[:1] * 2)
    first, rest = traces([write(tmp_path, "mad.json", text[:-30])])
    assert isinstance(first, Imported)
    assert isinstance(rest, Broken)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", '{"payload": {}}\nnot json\n'), ("b.json", '{"schema_version": "ATIF-v1", "steps": 3}')],
)
def test_a_broken_trace_is_reported_and_never_dropped(tmp_path: Path, name: str, text: str) -> None:
    (found,) = traces([write(tmp_path, name, text)])
    assert isinstance(found, Broken)


def test_an_unknown_file_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "[1, 2]")
    WRITERS["openai"](tmp_path)
    first, second = traces([tmp_path])
    assert isinstance(first, Broken)
    assert isinstance(second, Imported)


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="codex"):
        list(traces([tmp_path], "tarball"))
    with pytest.raises(ConfigurationError, match="does not exist"):
        list(traces([tmp_path / "nowhere"]))
