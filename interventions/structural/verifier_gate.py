"""Verifier gate: a diagnosis is accepted only with evidence that the trace can prove and that still holds.

Targets no or incomplete verification, incorrect verification and premature termination (MAST 3.1-3.3).
The heaviest step of the verification ladder: beside the citations it checks what the cited calls show, and it
makes those again whose results may be outdated. A refusal lists exactly what is missing. Refusals are capped:
after the cap the submission is let through and recorded as forced, so that the gate itself cannot keep an
agent from ending (MAST 1.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.evidence import CallRecord, Evidence, citations, firing_in, object_name
from harness.protocols import ALLOW, GuardEvent, Operator, ProposedSubmission, Ruling
from harness.records import Submission
from interventions.structural.base import EVIDENCE, Parameters, refusal

REQUIREMENTS = {
    "cite": "Every root cause cites, in its evidence, at least one tool call by its id.",
    "exists": "A cited call was really made and succeeded.",
    "concerns": "A cited call's result mentions the entity that it is cited for.",
    "after_hypothesis": "At least one cited call was made after you first suspected the entity, "
    "so that it tests the suspicion.",
    "health_after_change": "Claim resolved only if you read alerts or health after your last change.",
    "symptom_gone": "Claim resolved only if that last read shows that the alerts you saw at the start "
    "no longer fire.",
    "reproduces": "What you cite still holds: the same call made again shows the same.",
}
"""What the gate requires, by id; its prompt twin carries the same items."""


class GateParameters(Parameters):
    """Parameters of the gate."""

    max_refusals: int = Field(default=3, ge=1, le=10)
    """Refused submissions after which the next one is let through as forced."""
    reexecute: Literal["never", "stale", "all"] = "stale"
    """Which cited reads are made again: none; those older than `fresh_s`; all. A read from before the last
    change cannot be made again and never is."""
    fresh_s: float = Field(default=120, ge=0)
    """Environment seconds for which a result counts as current."""
    max_reads: int = Field(default=6, ge=0)
    """Reads that the gate makes for one submission."""


class VerifierGate:
    """Refuses a submission until every claim is backed by calls that exist and say so."""

    name = "verifier_gate"
    targets: ClassVar[tuple[str, ...]] = (
        "no_or_incomplete_verification",
        "incorrect_verification",
        "premature_termination",
    )
    owns: ClassVar[frozenset[str]] = frozenset({EVIDENCE})
    content: ClassVar[Mapping[str, str]] = REQUIREMENTS
    Parameters = GateParameters

    def __init__(self, parameters: GateParameters) -> None:
        self._is = parameters
        self._refusals = 0

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on submissions; everything else passes."""
        if not isinstance(event, ProposedSubmission):
            return ALLOW
        evidence = Evidence(operator.events)
        missing = find_missing(event.submission, evidence)
        if not missing and self._is.reexecute != "never":
            missing = await self._reproduce(event.submission, evidence, operator)
        if not missing:
            return ALLOW
        cap = self._is.max_refusals
        if self._refusals >= cap:
            return Ruling("forced", feedback=f"{len(missing)} requirements unmet after {cap} refusals")
        self._refusals += 1
        return Ruling("deny", feedback=refusal(self.content, missing))

    async def _reproduce(
        self, submission: Submission, evidence: Evidence, operator: Operator
    ) -> list[tuple[str, str]]:
        """Make outdated cited reads again; what they no longer show."""
        now = operator.events[-1].t if operator.events else 0.0
        missing: list[tuple[str, str]] = []
        for call, entity in self._to_repeat(submission, evidence, now)[: self._is.max_reads]:
            ok, text = await operator.read(call.name, call.args)
            if entity:
                if not ok or object_name(entity) not in text:
                    missing.append(("reproduces", f"[{call.call_id}] made again does not show {entity}"))
            elif ok and (still := firing_in(text) & evidence.firing_at_start()):
                shown = ", ".join(sorted(still)[:6])
                missing.append(("symptom_gone", f"[{call.call_id}] made again shows {shown}"))
        return missing

    def _to_repeat(
        self, submission: Submission, evidence: Evidence, now: float
    ) -> list[tuple[CallRecord, str]]:
        """(read, entity that it is cited for); the entity is empty for the read behind the resolution."""
        wanted: list[tuple[CallRecord, str]] = []
        health = evidence.health_after_last_change() if submission.resolved else None
        if health is not None:
            wanted.append((health, ""))
        for entity in submission.diagnosis.entities:
            for call_id in citations(entity.evidence) if entity.contributing_factor else ():
                call = evidence.calls.get(call_id)
                if call is not None and call.reads and evidence.concerns(call, entity.name):
                    wanted.append((call, entity.name))
        return [
            (call, entity)
            for call, entity in wanted
            if call.i > evidence.last_change()
            and (self._is.reexecute == "all" or now - call.t > self._is.fresh_s)
        ]


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
