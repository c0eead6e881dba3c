"""Detectors and judge together: what a detector decides stands, what it proposes goes to the judge.

Owns: which modes are put to the judge, and demotion by calibration. Without a judge proposals stay proposals and are
never counted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from harness.mast.classify import classify
from harness.mast.judge import Judge
from harness.mast.taxonomy import EXTENSIONS, MODES
from harness.records import Label, Usage
from harness.trace import Event


@dataclass
class Classified:
    """Labels of one trace and what they cost."""

    labels: tuple[Label, ...]
    missing: dict[str, str] = field(default_factory=dict)
    """Modes that the judge was asked about and did not answer usably, and why."""
    usage: Usage = field(default_factory=Usage)
    provenance: dict[str, str] = field(default_factory=dict)
    unreached: bool = False
    """Answers are missing because the judge's model could not be reached."""


def demote(labels: Sequence[Label], demoted: Collection[str]) -> tuple[Label, ...]:
    """Decisions on modes that failed their calibration become proposals."""
    return tuple(
        found.model_copy(update={"basis": "proposes"}) if found.slug in demoted else found for found in labels
    )


def undecided(labels: Sequence[Label]) -> list[str]:
    """Modes and extensions that no detector decided, and that apply to the trace."""
    settled = {
        found.slug
        for found in labels
        if found.present == "not_applicable"
        or (found.basis == "decides" and found.present in ("present", "absent"))
    }
    asked = {found.slug for found in labels} - settled
    return [slug for slug in (*MODES, *EXTENSIONS) if slug in asked]


async def classify_with(
    events: Sequence[Event], judge: Judge | None = None, demoted: Collection[str] = ()
) -> Classified:
    """Labels of a trace. Raises ConfigurationError where the judge's model could never answer."""
    labels = demote(classify(events), demoted)
    return Classified(labels) if judge is None else await settle(events, labels, judge)


async def settle(events: Sequence[Event], labels: tuple[Label, ...], judge: Judge) -> Classified:
    """The detectors' labels with the judge's on what they left open. Raises ConfigurationError where the judge's
    model could never answer, and Postponed."""
    wanted = undecided(labels)
    if not wanted:
        return Classified(labels)
    candidates = {
        found.slug: sorted({i for span in found.spans for i in span.events})
        for found in labels
        if found.basis == "proposes" and found.present == "present"
    }
    judged = await judge.review(events, wanted, candidates)
    return Classified(
        (*labels, *judged.labels), judged.missing, judged.usage, judged.provenance, judged.unreached
    )
