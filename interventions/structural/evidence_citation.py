"""Evidence citation: a diagnosis is accepted only with citations of calls that were made; none is made again.

Targets no or incomplete verification (MAST 3.2). The middle step of the verification ladder: it reads
citations and the trace, not what the calls show. Refusals are capped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from harness.evidence import Evidence, citations
from harness.protocols import ALLOW, GuardEvent, Operator, ProposedSubmission, Ruling
from harness.records import Submission
from interventions.structural.base import EVIDENCE, Parameters, refusal


class CitationParameters(Parameters):
    """Parameters of the citation requirement."""

    max_refusals: int = Field(default=3, ge=1, le=10)
    """Refused submissions after which the next one is let through as forced."""


class EvidenceCitation:
    """Refuses a submission whose claims cite no call that exists."""

    name = "evidence_citation"
    targets: ClassVar[tuple[str, ...]] = ("no_or_incomplete_verification",)
    owns: ClassVar[frozenset[str]] = frozenset({EVIDENCE})
    content: ClassVar[Mapping[str, str]] = {
        "cite": "Every root cause cites, in its evidence, at least one tool call by its id.",
        "exists": "A cited call was really made and succeeded.",
        "resolution": "A claim that the incident is resolved cites at least one tool call by its id.",
    }
    Parameters = CitationParameters

    def __init__(self, parameters: CitationParameters) -> None:
        self._cap = parameters.max_refusals
        self._refusals = 0

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        """Rule on submissions; everything else passes."""
        if not isinstance(event, ProposedSubmission):
            return ALLOW
        missing = uncited(event.submission, Evidence(operator.events))
        if not missing:
            return ALLOW
        if self._refusals >= self._cap:
            return Ruling("forced", feedback=f"{len(missing)} requirements unmet after {self._cap} refusals")
        self._refusals += 1
        return Ruling("deny", feedback=refusal(self.content, missing))


def uncited(submission: Submission, evidence: Evidence) -> list[tuple[str, str]]:
    """(requirement id, what is missing) for every claim without a citation that exists."""
    claims = [(e.name, e.evidence, "cite") for e in submission.diagnosis.entities if e.contributing_factor]
    if submission.resolved:
        claims.append(("resolved", submission.resolution_evidence, "resolution"))
    missing: list[tuple[str, str]] = []
    for claim, text, requirement in claims:
        cited = citations(text)
        if not cited:
            missing.append((requirement, f"{claim} cites no call"))
        for call_id in cited:
            call = evidence.calls.get(call_id)
            if call is None or not call.ok:
                missing.append(("exists", f"[{call_id}] cited for {claim} does not exist or failed"))
    return missing
