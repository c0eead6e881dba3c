"""How a judge of diagnoses can behave over the wire; registered beside the behaviours of `tests/openai_server.py`."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.openai_server import BEHAVIOURS, Answer, OpenAIServer, completion, timeout, tool_call

Json = dict[str, Any]


def part(body: Json, tag: str) -> str:
    """What stands between tags in the question."""
    found = re.search(rf"<{tag}>\n(.*?)\n</{tag}>", body["messages"][-1]["content"], re.DOTALL)
    return found[1] if found else ""


def choice(body: Json) -> str:
    """What a careful reader would choose in the tests' incidents."""
    if part(body, "named"):
        return "1" if "ship" in part(body, "named") else "none"
    statement = part(body, "statement")
    return "same" if "wrong port" in statement else "partly" if "port" in statement else "different"


def grade_well(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Chooses by the tool."""
    return tool_call(body, "answer", json.dumps({"because": "it says so", "choice": choice(body)}))


def grade_in_text(server: OpenAIServer, body: Json, count: int) -> Answer:
    """The same as a fenced block, from a model that does not call tools."""
    text = json.dumps({"because": "it says so", "choice": choice(body)})
    return Answer(completion(body, {"content": f"Well:\n```json\n{text}\n```"}))


def grade_garbage(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A choice that is not on the list, and a number where none was asked for."""
    return tool_call(body, "answer", json.dumps({"because": "0.9", "choice": "0.87"}))


def grade_late(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Garbage for the first seed, an answer for the second."""
    return grade_garbage(server, body, count) if body["seed"] == 0 else grade_well(server, body, count)


def grade_refuses(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Declines, in words that hold a choice."""
    return Answer(completion(body, {"content": "I cannot say whether they are the same."}))


def grade_twice(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Two choices in one reply."""
    said = {name: json.dumps({"because": "both", "choice": name}) for name in ("same", "different")}
    calls = [
        {"id": f"c{name}", "type": "function", "function": {"name": "answer", "arguments": arguments}}
        for name, arguments in said.items()
    ]
    return Answer(completion(body, {"content": None, "tool_calls": calls}, "tool_calls"))


for _behaviour in (grade_well, grade_in_text, grade_garbage, grade_late, grade_refuses, grade_twice):
    BEHAVIOURS.setdefault(_behaviour.__name__, _behaviour)
BEHAVIOURS.setdefault("grade_times_out", timeout)
