"""MAST 3.2 and 3.3, verification: the atoms V0, V1, V2 and the two paper codes derived from them.

Claims: each contributing factor, and the remediation (if anything was changed or `resolved` is claimed).
Of each claim two things are decided, independently (docs/sources M1): was it checked, and is what the
answer says about its check wrong:
    V0  no claim was checked        V1  some claims were not checked        V2  something said is wrong
    paper 3.2 = V0 or V1, paper 3.3 = V2
A factor is checked by a read that tests the suspicion of it (`evidence.tests_of`); what is said is wrong when
its evidence cites a call that was never made or failed, or only calls about other things. The remediation is
checked by a read of alerts, requests or metrics after the last change; `resolved` is wrong when its evidence
cites a call that was never made or failed, or only calls from before the change, or when the last alert read
after the change still shows an alert that was firing before. A claim with an invented check is both unchecked
and wrong.
Every attempted answer counts, refused ones too: what only refused ones show is repaired. A trace that ended on
a budget is decided from what was attempted. Not applicable without any answer or without a claim.
A failed read that says "not found" is an answer.
Blind spots: a right citation that is misread; values asserted that the cited text does not have; alerts that
the change itself set off (the verdict sees those); citations in other forms than [c7].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from harness.mast.answers import Finding
from harness.mast.evidence import (
    alert_reads,
    answered,
    citations,
    concerns,
    object_name,
    shows_health,
    tests_of,
)
from harness.mast.spans import label, span
from harness.mast.taxonomy import ATOMS, published
from harness.mast.view import Answer, Call, TraceType, TraceView
from harness.records import Label, Present

DERIVED = {"3.2": "no_or_incomplete_verification", "3.3": "incorrect_verification"}
SLUGS = (*ATOMS, *DERIVED.values())
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "not_applicable"}


class Claim(NamedTuple):
    """One claim of the answer, and what is missing or wrong about its check."""

    unchecked: Finding | None
    wrong: Finding | None


def detect(view: TraceView) -> tuple[Label, ...]:
    """Three atoms and two derived labels."""
    claimed = [claims for answer in view.answers if (claims := [*_claims(answer)])]
    if not claimed:
        present: Present = "cannot_tell" if view.torn else "not_applicable"
        note = "the trace is torn" if view.torn else "no answer, or one without claims"
        return tuple(label(slug, present, "verification", note=note) for slug in SLUGS)
    weighed = [_weigh(claims) for claims in claimed]
    return tuple(_label(slug, [findings[slug] for findings in weighed]) for slug in SLUGS)


def _weigh(claims: list[Claim]) -> dict[str, list[Finding]]:
    """Slug -> what speaks for it in one answer."""
    unchecked = [claim.unchecked for claim in claims if claim.unchecked]
    wrong = [claim.wrong for claim in claims if claim.wrong]
    none_checked = len(unchecked) == len(claims)
    atomic = (unchecked if none_checked else [], [] if none_checked else unchecked, wrong)
    found = dict(zip(ATOMS, atomic, strict=True))
    atoms: dict[str, Present] = {atom: "present" if shown else "absent" for atom, shown in found.items()}
    codes = published("paper_v3", atoms)
    evidence = {"3.2": unchecked, "3.3": wrong}
    derived = {slug: evidence[code] if codes[code] == "present" else [] for code, slug in DERIVED.items()}
    return {**found, **derived}


def _label(slug: str, answers: list[list[Finding]]) -> Label:
    """Present when any attempted answer shows it; the last answer's findings come first."""
    shown = [*answers[-1], *(finding for findings in answers[:-1] for finding in findings)]
    notes = "; ".join(dict.fromkeys(finding.note for finding in shown))
    present: Present = "present" if shown else "absent"
    repaired = bool(shown) and not answers[-1]
    return label(slug, present, "verification", [f.span for f in shown], notes, repaired=repaired)


def _claims(view: TraceView) -> Iterator[Claim]:
    if view.final is None:
        return
    for entity in view.factors:
        yield _factor(view, view.final, entity)
    if view.changes or view.resolved:
        yield Claim(_unread(view, view.final), _wrongly_resolved(view, view.final) if view.resolved else None)


def _factor(view: TraceView, final: Answer, entity: dict[str, Any]) -> Claim:
    claimed, name = entity["name"], object_name(entity["name"])
    unchecked = None
    if not tests_of(view, name):
        unchecked = Finding(f"no read tests the suspicion of {claimed}", span(final, claimed))
    cited, wrong = _cited(view, final, entity.get("evidence", ""), claimed)
    if wrong is None and cited and not any(concerns(call, name) for call in cited):
        events = [call.event for call in cited]
        wrong = Finding(f"{claimed} cites only calls about other things", span(final, claimed, also=events))
    return Claim(unchecked, wrong)


def _unread(view: TraceView, final: Answer) -> Finding | None:
    if any(call.i > view.last_change and shows_health(view, call) for call in view.calls):
        return None
    where = span(view.changes[-1].event, also=[final]) if view.changes else span(final, '"resolved":true')
    return Finding("no read of alerts, requests or metrics after the last change", where)


def _wrongly_resolved(view: TraceView, final: Answer) -> Finding | None:
    cited, wrong = _cited(view, final, final.submission.get("resolution_evidence", ""), "resolved")
    if wrong is not None:
        return wrong
    if cited and all(call.i < view.last_change for call in cited):
        where = span(final, '"resolved":true', also=[call.event for call in cited])
        return Finding("resolved cites only calls from before the last change", where)
    return _still_firing(view, final)


def _still_firing(view: TraceView, final: Answer) -> Finding | None:
    listed = alert_reads(view)
    after = [(call, alerts) for call, alerts in listed if call.i > view.last_change]
    if not after:
        return None
    before = [alerts for call, alerts in listed if call.i < view.last_change]
    call, alerts = after[-1]
    still = sorted(alerts & frozenset().union(*before) if before else alerts)
    if not still or call.result is None:
        return None
    note = (
        "resolved claimed while " + ", ".join(f"{alert.name} of {alert.entity}" for alert in still) + " fires"
    )
    return Finding(note, span(call.result, still[0].name, also=[final]))


def _cited(view: TraceView, final: Answer, text: str, claim: str) -> tuple[list[Call], Finding | None]:
    """Cited calls that gave an answer, and the first citation that is false."""
    cited: list[Call] = []
    for call_id in citations(text):
        call = view.by_id.get(call_id)
        if call is None or call.i > final.i:
            return cited, Finding(f"{claim} cites {call_id}, which was never made", span(final, call_id))
        if not answered(call):
            how = "was denied" if call.denied else "failed"
            return cited, Finding(
                f"{claim} cites {call_id}, which {how}", span(final, call_id, also=[call.event])
            )
        cited.append(call)
    return cited, None
