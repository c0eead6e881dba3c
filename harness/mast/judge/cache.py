"""Replies by content: the same question to the same model is paid for once, also across interrupted runs.

Owns: keys and files. One file per reply, written in one step, so that several processes can share a directory.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from harness.protocols import ModelReply, ModelRequest, RequestedCall
from harness.records import Usage
from harness.store import write_atomically


class ReplyCache:
    """Replies in a directory; without one nothing is kept."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.hits = 0

    def key(self, model: str, request: ModelRequest) -> str:
        """Hash of everything that determines a reply."""
        tools = [[tool.name, tool.description, tool.parameters] for tool in request.tools]
        content = [model, list(request.messages), tools, request.seed, request.max_output_tokens]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    def get(self, key: str) -> ModelReply | None:
        """The kept reply; an unreadable file counts as none."""
        if self._directory is None:
            return None
        try:
            kept = json.loads((self._directory / key[:2] / f"{key}.json").read_bytes())
            calls = tuple(RequestedCall(**call) for call in kept["calls"])
            reply = ModelReply(kept["text"], calls, usage=Usage(), finish=kept["finish"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self.hits += 1
        return reply

    def put(self, key: str, reply: ModelReply) -> None:
        """Keep a reply, with what it cost."""
        if self._directory is None:
            return
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in reply.calls]
        kept = {"text": reply.text, "calls": calls, "finish": reply.finish, "usage": reply.usage.model_dump()}
        file = self._directory / key[:2] / f"{key}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(kept).encode())
