"""A model that says what a test wrote down, whatever it is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.errors import Problem
from harness.protocols import ModelReply, ModelRequest, RequestedCall
from harness.records import Usage

Call = tuple[str, Mapping[str, Any] | str]
"""Tool name and arguments (a string is sent as it is)."""


class ScriptedModel:
    """Replies in order; the last reply repeats. Keeps every request that it saw."""

    simulated = True

    def __init__(self, replies: Sequence[str | Sequence[Call]], usage: Usage | None = None) -> None:
        self.name = "scripted"
        self.requests: list[ModelRequest] = []
        self._replies = list(replies)
        self._usage = usage or Usage(input_tokens=100, output_tokens=10)

    def context_window(self) -> int | None:
        return None

    def problems(self, money_budget: bool = False) -> Sequence[Problem]:
        return ()

    async def complete(self, request: ModelRequest) -> ModelReply:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(replace(request, messages=list(request.messages)))
        if isinstance(reply, str):
            return ModelReply(reply, usage=self._usage, latency_s=5)
        calls = [
            RequestedCall(f"x{number}", name, args if isinstance(args, str) else json.dumps(args))
            for number, (name, args) in enumerate(reply)
        ]
        return ModelReply("", calls, usage=self._usage, latency_s=5)

    async def close(self) -> None:
        pass


def answer(*entities: tuple[str, str], resolved: bool = False, evidence: str = "") -> Call:
    """A submission that names (entity, evidence) pairs as root causes."""
    return (
        "submit",
        {
            "entities": [
                {"name": name, "contributing_factor": True, "reasoning": "it changed", "evidence": cited}
                for name, cited in entities
            ],
            "propagations": [],
            "alerts_explained": [],
            "resolved": resolved,
            "resolution_evidence": evidence,
        },
    )
