"""Termination FSM: triage, diagnose, remediate, verify, conclude, with transitions owned by code.

Targets unaware and premature termination (MAST 1.5, 3.1). The state follows from what the trace shows,
never from what the model says. An answer is accepted once the obligations of all states are met; every state
has a budget of calls and of tokens; when one is used up, or nothing remains to be done, only `submit` passes, and
after a few refused calls the best answer so far is handed in, which protects recall at the end of a budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.evidence import Evidence
from harness.protocols import (
    ALLOW,
    GuardEvent,
    Operator,
    ProposedSubmission,
    ProposedToolCall,
    Ruling,
    Silence,
)
from harness.records import Submission
from harness.trace import ModelCall, of_type
from interventions.structural.base import CONCLUSION, Parameters, best_answer, refusal

State = Literal["triage", "diagnose", "remediate", "verify", "conclude"]


class StateBudget(Parameters):
    """What one state may use."""

    calls: int = Field(ge=1)
    """Tool calls."""
    tokens: int = Field(default=250_000, ge=1)
    """Input and output tokens of the model."""


class FsmParameters(Parameters):
    """Parameters of the state machine."""

    triage: StateBudget = StateBudget(calls=8)
    diagnose: StateBudget = StateBudget(calls=20)
    remediate: StateBudget = StateBudget(calls=12)
    verify: StateBudget = StateBudget(calls=10)
    after_recovery: int = Field(default=3, ge=0)
    """Further calls after the symptom was seen gone; then only a submission passes."""
    reserve_turns: int = Field(default=4, ge=1)
    """Turns of the trial's budget that are kept for the conclusion."""
    grace: int = Field(default=2, ge=0)
    """Refused calls in the state conclude after which the best answer so far is handed in."""
    max_refusals: int = Field(default=2, ge=1, le=10)
    """Refused submissions after which the next one is let through as forced."""


class TerminationFsm:
    """Lets an incident end neither before nor after its obligations are met."""

    name = "termination_fsm"
    targets: ClassVar[tuple[str, ...]] = ("unaware_termination", "premature_termination")
    owns: ClassVar[frozenset[str]] = frozenset({CONCLUSION})
    content: ClassVar[Mapping[str, str]] = {
        "triage": "Triage first: read the alerts that are firing before anything else.",
        "diagnose": "Diagnose: submit a root cause only after at least one read that was directed at it.",
        "verify": "Verify: after your last change, read alerts or health before you submit.",
        "conclude": "Conclude: once the alerts you saw at the start are gone, submit; do not go on investigating.",
        "budget": "Each phase has a budget of steps; when it is used up, submit the best answer that you have.",
    }
    Parameters = FsmParameters

    def __init__(self, parameters: FsmParameters) -> None:
        self._is = parameters
        self._submissions = 0
        self._calls = 0
        self._concluding = ""

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on submissions by obligations, on calls and silence by state and budget."""
        if isinstance(event, ProposedSubmission):
            return self._submission(event.submission, operator)
        if isinstance(event, ProposedToolCall | Silence):
            self._concluding = self._concluding or self._reason_to_conclude(operator)
            if self._concluding:
                return self._conclude(operator)
        return ALLOW

    def _submission(self, submission: Submission, operator: Operator) -> Ruling:
        missing = obligations(submission, Evidence(operator.events))
        if not missing or self._concluding:
            return ALLOW
        if self._submissions >= self._is.max_refusals or self._reason_to_conclude(operator):
            return Ruling("forced", feedback=f"{len(missing)} obligations unmet")
        self._submissions += 1
        return Ruling("deny", feedback=refusal(self.content, missing))

    def _conclude(self, operator: Operator) -> Ruling:
        if self._calls >= self._is.grace:
            answer = best_answer(operator.events)
            if answer is not None:
                said = f"Closed with your best answer so far: {self._concluding}"
                return Ruling("conclude", feedback=said, replacement=answer)
        self._calls += 1
        return Ruling("deny", feedback=f"Not run: {self._concluding} Submit now.")

    def _reason_to_conclude(self, operator: Operator) -> str:
        """Why only a submission may follow; empty as long as something else may."""
        evidence = Evidence(operator.events)
        since = recovered_at(evidence)
        if since >= 0:
            further = sum(call.i > since for call in evidence.calls.values())
            if further >= self._is.after_recovery:
                return self.content["conclude"]
        if operator.remaining()["turns"] < self._is.reserve_turns:
            return f"the turns are nearly used up. {self.content['budget']}"
        state, began = state_of(evidence)
        if state != "conclude":
            budget: StateBudget = getattr(self._is, state)
            calls = sum(call.i > began for call in evidence.calls.values())
            spent = sum(
                one.input_tokens + one.output_tokens
                for one in of_type(operator.events, ModelCall)
                if one.i > began
            )
            if calls >= budget.calls or spent >= budget.tokens:
                return f"the budget of the phase {state} is used up. {self.content['budget']}"
        return ""


def state_of(evidence: Evidence) -> tuple[State, int]:
    """The state, and the event number at which it was entered."""
    alerts = evidence.health_reads()
    if not alerts and not evidence.changes():
        return "triage", -1
    change = evidence.last_change()
    if change < 0:
        return "diagnose", alerts[0].i
    recovered = recovered_at(evidence)
    if recovered >= 0:
        return "conclude", recovered
    health = evidence.health_after_last_change()
    if health is not None:
        first = next(call for call in alerts if call.i > change)
        return "verify", first.i
    return "remediate", evidence.changes()[0].i


def recovered_at(evidence: Evidence) -> int:
    """Event number of the first read after the last change that showed the first alerts gone; -1 if none."""
    at_start = evidence.firing_at_start()
    if evidence.last_change() < 0 or not at_start:
        return -1
    for call in evidence.health_reads():
        after_change = call.name == "alert_summary" and call.i > evidence.last_change()
        if after_change and not evidence.firing_in(call) & at_start:
            return call.i
    return -1


def obligations(submission: Submission, evidence: Evidence) -> list[tuple[str, str]]:
    """(content id, what is open) for every obligation that a submission leaves open."""
    unmet: list[tuple[str, str]] = []
    if not evidence.health_reads():
        unmet.append(("triage", "no alerts or health were read"))
    for entity in submission.diagnosis.entities:
        if entity.contributing_factor and not evidence.reads_about(entity.name):
            unmet.append(("diagnose", f"no read was directed at {entity.name}"))
    if evidence.changes() and evidence.health_after_last_change() is None:
        unmet.append(("verify", "no alerts or health were read after the last change"))
    return unmet
