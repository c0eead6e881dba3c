"""Verifier gate: a diagnosis is accepted only with evidence that the trace can prove.

Targets no or incomplete verification, incorrect verification and premature termination (facts: MAST 3.1-3.3).
A refusal lists exactly what is missing. Refusals are capped: after the cap the submission is let through and
recorded as forced, so that the gate itself cannot keep an agent from ending (MAST 1.5).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from harness.evidence import CallRecord, Evidence, citations
from harness.protocols import ALLOW, GuardEvent, Operator, ProposedSubmission, Ruling
from harness.records import Submission

REQUIREMENTS = {
    "cite": "Every root cause cites, in its evidence, at least one tool call by its id.",
    "exists": "A cited call was really made and succeeded.",
    "concerns": "A cited call's result mentions the entity that it is cited for.",
    "after_hypothesis": "At least one cited call was made after you first suspected the entity, "
    "so that it tests the suspicion.",
    "health_after_change": "Claim resolved only if you read alerts or health after your last change.",
    "symptom_gone": "Claim resolved only if that last read shows that the alerts you saw at the start "
    "no longer fire.",
}
"""What the gate requires, by id; its prompt twin carries the same items."""


class GateParameters(BaseModel):
    """Parameters of the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_refusals: int = Field(default=3, ge=1, le=10)
    """Refused submissions after which the next one is let through as forced."""


class VerifierGate:
    """Refuses a submission until every claim is backed by calls that exist and say so."""

    name = "verifier_gate"
    targets: ClassVar[tuple[str, ...]] = (
        "no_or_incomplete_verification",
        "incorrect_verification",
        "premature_termination",
    )
    Parameters = GateParameters

    def __init__(self, parameters: GateParameters) -> None:
        self._cap = parameters.max_refusals
        self._refusals = 0

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on submissions; everything else passes."""
        if not isinstance(event, ProposedSubmission):
            return ALLOW
        missing = find_missing(event.submission, Evidence(operator.events))
        if not missing:
            return ALLOW
        if self._refusals >= self._cap:
            return Ruling("forced", feedback=f"{len(missing)} requirements unmet after {self._cap} refusals")
        self._refusals += 1
        return Ruling("deny", feedback=refusal(missing))


def refusal(missing: Sequence[tuple[str, str]]) -> str:
    """What the agent reads: each unmet requirement once, with the places where it is unmet."""
    unmet: dict[str, list[str]] = {}
    for requirement, place in missing:
        unmet.setdefault(requirement, []).append(place)
    items = [{"requirement": REQUIREMENTS[key], "missing": places} for key, places in unmet.items()]
    return "Not accepted. Do what is missing, then submit again: " + json.dumps(items, separators=(",", ":"))


def find_missing(submission: Submission, evidence: Evidence) -> list[tuple[str, str]]:
    """(requirement id, what is missing) for everything that the trace does not prove."""
    missing: list[tuple[str, str]] = []
    for entity in submission.diagnosis.entities:
        if entity.contributing_factor:
            missing.extend(check_claim(entity.name, entity.evidence, evidence))
    if submission.resolved:
        missing.extend(check_resolution(evidence))
    return missing


def check_claim(entity: str, text: str, evidence: Evidence) -> list[tuple[str, str]]:
    """What is missing for one root-cause claim."""
    cited = citations(text)
    if not cited:
        return [("cite", f"{entity} cites no call")]
    missing: list[tuple[str, str]] = []
    usable: list[CallRecord] = []
    for call_id in cited:
        call = evidence.calls.get(call_id)
        if call is None or not call.ok:
            missing.append(("exists", f"[{call_id}] cited for {entity} does not exist or failed"))
        else:
            usable.append(call)
    concerning = [call for call in usable if evidence.concerns(call, entity)]
    if usable and not concerning:
        missing.append(("concerns", f"no cited call mentions {entity}"))
    suspected = evidence.first_suspected(entity)
    if concerning and suspected is not None and all(call.i < suspected for call in concerning):
        missing.append(("after_hypothesis", f"no cited call tests the suspicion of {entity}"))
    return missing


def check_resolution(evidence: Evidence) -> list[tuple[str, str]]:
    """What is missing for the claim that the incident is over."""
    health = evidence.health_after_last_change()
    if health is None:
        return [("health_after_change", "no alert or health read after the last change")]
    still = sorted(evidence.firing_in(health) & evidence.firing_at_start())
    if still:
        return [("symptom_gone", f"[{health.call_id}] still shows {', '.join(still[:6])}")]
    return []
