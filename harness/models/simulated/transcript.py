"""Turns chat messages back into a list of calls with their results, as far as the context window reaches.

Owns: parsing of messages and of tool results, and the limit of what is still read. Does not own: what the
results mean (`readings`). Parsed texts are kept by their content, because each turn sends the whole
conversation again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from harness.protocols import Message

CHARS_PER_TOKEN = 4
_PREFIX = re.compile(r"\[(c\d+)\]\s*")
_DECODER = json.JSONDecoder()
_TRIMMED = re.compile(r"\((?:left out|omitted|trimmed)\b|\((?:compacted|truncated|shortened)\)\s*\Z")
_REFUSED = re.compile(
    r"\A\W*(?:call )?(?:not (?:run|accepted|executed|allowed|permitted)|refused|denied|blocked)\b", re.I
)
ASK = "ask_operator"
TOLD = frozenset({ASK, "declare_assumption", "state_intent"})
"""Tools that tell somebody something and are answered in words."""
MUTATING = frozenset(
    {
        "patch_object",
        "apply_manifest",
        "delete_object",
        "scale_workload",
        "rollout_undo",
        "rollout_restart",
        "set_feature_flag",
    }
)


@dataclass(frozen=True, slots=True)
class Result:
    """One tool result. `data` is None where it was no JSON object; `notice` came with it or instead."""

    call_id: str
    data: Mapping[str, Any] | None
    notice: str
    trimmed: bool = False
    """It was shortened or taken out of the conversation."""
    refused: bool = False
    """It says that the call was not carried out."""


@dataclass(slots=True)
class Call:
    """One call of the conversation."""

    index: int
    turn: int
    id: str
    name: str
    arguments: str
    args: Mapping[str, Any]
    said: str
    """What the assistant wrote beside it."""
    content: str = ""
    result: Result | None = None
    readable: bool = True
    """False when its result lies outside the context window."""

    ok: bool = False
    """It gave a readable answer in the form that tools answer in."""
    changes: bool = False
    """It changed the cluster, as far as can still be seen."""

    def answer(self, content: str) -> Result:
        """Note what came back."""
        self.content, self.result = content, (result := parse_result(content))
        self.ok = result.data is not None
        made = self.name in MUTATING and (self.ok or result.trimmed)
        self.changes = made and not self.args.get("dry_run", False)
        return result

    @property
    def trimmed(self) -> bool:
        """Its result was shortened or taken out of the conversation."""
        return self.result is not None and self.result.trimmed

    @property
    def refused(self) -> bool:
        """It was not carried out, and the result says why. Refused submissions are another matter."""
        return self.result is not None and self.result.refused and self.name != "submit"

    @property
    def failed(self) -> bool:
        """It was carried out and went wrong."""
        if self.ok or self.result is None or self.name in TOLD or self.name == "submit":
            return False
        return not self.result.trimmed and not self.result.refused

    @property
    def key(self) -> tuple[str, str]:
        """Equal for identical calls."""
        return (self.name, self.arguments)


@dataclass(slots=True)
class Transcript:
    """The conversation so far."""

    calls: list[Call] = field(default_factory=list)
    turn: int = 0
    """Answers that the model has given."""
    instructions: list[tuple[int, str]] = field(default_factory=list)
    """(turn, text) of what others told the model: system prompt, task, messages, answers to its questions, notices
    beside results."""
    feedback: list[tuple[int, str]] = field(default_factory=list)
    """(turn, text) of what came back about a call of the model's own: notices beside results, and refusals."""
    task: str = ""
    first_said: str = ""
    tokens: int = 0
    """Estimated size of everything sent."""
    unread: int = 0
    """Tool results that the context window no longer holds."""
    last_role: str = ""


@lru_cache(maxsize=4096)
def parse_result(content: str) -> Result:
    """Read a tool message: `[cN] ` and a JSON object, possibly followed by a notice, or plain text."""
    prefix = _PREFIX.match(content)
    call_id, start = (prefix.group(1), prefix.end()) if prefix else ("", 0)
    try:
        data, end = _DECODER.raw_decode(content, start)
    except ValueError:
        data, end = None, start
    if isinstance(data, dict):
        return Result(call_id, data, content[end:].strip())
    notice = content[start:]
    return Result(call_id, None, notice, bool(_TRIMMED.search(notice)), bool(_REFUSED.search(notice)))


@lru_cache(maxsize=4096)
def parse_arguments(text: str) -> Mapping[str, Any]:
    """A call's arguments; empty where they are no JSON object."""
    try:
        parsed = json.loads(text or "{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def read_transcript(messages: Sequence[Message], context_tokens: int) -> Transcript:
    """Rebuild the conversation from the messages of one request."""
    transcript = Transcript()
    open_calls: dict[str, Call] = {}
    characters = 0
    for message in messages:
        role, content = message["role"], message.get("content") or ""
        characters += len(content)
        if role == "assistant":
            characters += _read_answer(message, content, transcript, open_calls)
        elif role == "tool":
            call = open_calls.get(message.get("tool_call_id", ""))
            if call is not None:
                _note_words(call, call.answer(content), transcript)
        else:
            transcript.instructions.append((transcript.turn, content))
            if role == "user" and not transcript.task:
                transcript.task = content
        transcript.last_role = role
    transcript.tokens = characters // CHARS_PER_TOKEN
    _forget_what_does_not_fit(transcript, context_tokens)
    return transcript


def _note_words(call: Call, result: Result, transcript: Transcript) -> None:
    """Keep what a result says beside or instead of its data."""
    beside = call.ok and result.notice
    if beside or call.name == ASK:
        transcript.instructions.append((transcript.turn, result.notice))
    if beside or call.refused:
        transcript.feedback.append((transcript.turn, result.notice))
    transcript.unread += result.trimmed


def _read_answer(message: Message, said: str, transcript: Transcript, open_calls: dict[str, Call]) -> int:
    """Note the calls of one answer; the number of characters that they take."""
    characters = 0
    for wanted in message.get("tool_calls") or ():
        function = wanted["function"]
        call = Call(
            len(transcript.calls),
            transcript.turn,
            wanted["id"],
            function["name"],
            function["arguments"],
            parse_arguments(function["arguments"]),
            said,
        )
        characters += len(call.name) + len(call.arguments)
        transcript.calls.append(call)
        open_calls[call.id] = call
    if transcript.turn == 0:
        transcript.first_said = said
    transcript.turn += 1
    return characters


def _forget_what_does_not_fit(transcript: Transcript, context_tokens: int) -> None:
    """Drop the oldest tool results until the rest fits into the context window."""
    excess = transcript.tokens - context_tokens
    for call in transcript.calls:
        if excess <= 0:
            return
        if call.result is not None:
            call.readable = False
            transcript.unread += 1
            excess -= len(call.content) // CHARS_PER_TOKEN
