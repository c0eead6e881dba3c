"""The person behind an underspecified request: what they answer when the agent asks.

Owns: the two tools that such an incident offers to every arm (`ask_operator`, `declare_assumption`) and the
choice of an answer from the scenario's data. Does not own: the data (`scenarios.schema.Ambiguity`), or
whether the agent must ask (guards). Answers tell about intent, affected users and limits, never the cause.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.protocols import ToolSchema

if TYPE_CHECKING:
    from scenarios.schema import Ambiguity

ASK = ToolSchema(
    "ask_operator",
    "Ask the person who opened the incident. They know who is affected and what is in scope, not the cause.",
    {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]},
)
DECLARE = ToolSchema(
    "declare_assumption",
    "Put an assumption on record, so that it can be revised.",
    {
        "type": "object",
        "properties": {
            "about": {"type": "string", "description": "namespace/Kind/name, or what is unclear"},
            "assumption": {"type": "string"},
            "confidence": {"type": "number", "description": "0 to 1"},
        },
        "required": ["about", "assumption", "confidence"],
    },
)


class OperatorChannel:
    """Answers from the scenario's data. The same question always gets the same answer."""

    def __init__(self, ambiguity: Ambiguity) -> None:
        self._ambiguity = ambiguity

    def tools(self) -> Sequence[ToolSchema]:
        """What every arm is offered in an underspecified incident."""
        return (ASK, DECLARE)

    def serves(self, name: str) -> bool:
        """Whether a call is for this channel."""
        return name in (ASK.name, DECLARE.name)

    def call(self, name: str, args: Mapping[str, Any]) -> tuple[bool, str]:
        """(ok, text) of one call."""
        if name == DECLARE.name:
            return record_assumption(args)
        question = args.get("question")
        if not isinstance(question, str) or not question.strip():
            return False, "Error: ask_operator: question: expected a text"
        return True, self.answer(question)

    def answer(self, question: str) -> str:
        """All answers whose topic the question names; what the operator says otherwise where none does."""
        words = set(re.findall(r"[a-z]+", question.lower()))
        told = [one.answer for one in self._ambiguity.answers if words & set(one.about)]
        return " ".join(told) or self._ambiguity.otherwise


def record_assumption(args: Mapping[str, Any]) -> tuple[bool, str]:
    """(ok, text) of `declare_assumption`."""
    missing = [name for name in DECLARE.parameters["required"] if args.get(name) in (None, "")]
    if missing:
        return False, f"Error: declare_assumption: missing {', '.join(missing)}"
    return True, f"Recorded: about {args['about']}, assumed with confidence {args['confidence']}."
