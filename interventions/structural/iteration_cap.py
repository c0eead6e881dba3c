"""Iteration cap: after a fixed number of turns the agent has to conclude, and is concluded.

Targets unaware termination (MAST 1.5). The lightest step of the verification ladder: it checks nothing,
it only ends. After the cap only `submit` passes; after a few more turns the best answer so far is handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from harness.protocols import ALLOW, GuardEvent, Operator, ProposedToolCall, Ruling, Silence
from harness.trace import ModelCall, of_type
from interventions.structural.base import CONCLUSION, Parameters, best_answer


class CapParameters(Parameters):
    """Parameters of the cap."""

    max_turns: int = Field(default=25, ge=1)
    """Turns of the model after which only a submission passes."""
    grace: int = Field(default=2, ge=0)
    """Refused calls after which the best answer so far is handed in."""


class IterationCap:
    """Ends a run that does not end by itself."""

    name = "iteration_cap"
    targets: ClassVar[tuple[str, ...]] = ("unaware_termination",)
    owns: ClassVar[frozenset[str]] = frozenset({CONCLUSION})
    content: ClassVar[Mapping[str, str]] = {
        "cap": "Use at most a limited number of turns (about 25), then stop and submit.",
        "best_answer": "When the turns are used up, submit the best answer that you have; do not go on.",
    }
    Parameters = CapParameters

    def __init__(self, parameters: CapParameters) -> None:
        self._is = parameters
        self._refused = 0

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on calls and silence once the cap was reached."""
        if not isinstance(event, ProposedToolCall | Silence):
            return ALLOW
        turns = sum(1 for _ in of_type(operator.events, ModelCall))
        if turns <= self._is.max_turns:
            return ALLOW
        if self._refused >= self._is.grace:
            answer = best_answer(operator.events)
            if answer is not None:
                return Ruling("conclude", feedback="Closed with your best answer so far.", replacement=answer)
        self._refused += 1
        return Ruling(
            "deny", feedback=f"Not run: {self._is.max_turns} turns are used up. {self.content['best_answer']}"
        )
