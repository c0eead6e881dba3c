"""Placebo: costs a turn and as many tokens as a refusal of the verifier gate, and enforces nothing.

It holds back exactly those submissions that the gate would have refused, so that trigger and cost match, but
says nothing about what is missing. Whatever comes next is accepted once `turns` were spent.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from harness.evidence import Evidence
from harness.protocols import ALLOW, GuardEvent, Operator, ProposedSubmission, Ruling
from interventions.structural.verifier_gate import find_missing, refusal

OPENING = "Not accepted yet. Take another look at the incident, then submit again."
FILLER = (
    " Take all the time that you need. Incidents differ, and so do the ways in which engineers work on them."
)


class PlaceboParameters(BaseModel):
    """Parameters of the placebo."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turns: int = Field(default=1, ge=1, le=10)
    """Submissions that are held back before the next one is accepted."""


class Placebo:
    """Holds back a submission without a reason."""

    name = "placebo"
    targets: ClassVar[tuple[str, ...]] = ()
    Parameters = PlaceboParameters

    def __init__(self, parameters: PlaceboParameters) -> None:
        self._left = parameters.turns

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Deny what the gate would deny, with text of the same length and no content."""
        if self._left == 0 or not isinstance(event, ProposedSubmission):
            return ALLOW
        missing = find_missing(event.submission, Evidence(operator.events))
        if not missing:
            return ALLOW
        self._left -= 1
        length = len(refusal(missing))
        text = OPENING + FILLER * (max(0, length - len(OPENING)) // len(FILLER) + 1)
        return Ruling("deny", feedback=text[: max(length, len(OPENING))])
