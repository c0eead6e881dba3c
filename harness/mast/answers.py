"""What detectors find in answers, over every submission that the agent attempted.

Owns: the rule that attempts count, and when a finding is repaired. Does not own: what is wrong with an answer
(detectors) or which submissions there are (`view.TraceView.answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness.mast.spans import label
from harness.mast.view import TraceView
from harness.records import Basis, Label, Present, Span


class Finding(NamedTuple):
    """Something that speaks against an answer."""

    note: str
    span: Span


class Attempts(NamedTuple):
    """What was found over all answers."""

    findings: list[Finding]
    """Those of the last answer first, then those of refused ones."""
    repaired: bool
    """There are findings, and none of them is about the last answer."""


def found_label(
    slug: str,
    detector: str,
    findings: Iterable[Finding],
    basis: Basis = "decides",
    repaired: bool = False,
) -> Label:
    """Present with all findings, or absent without any."""
    found = list(findings)
    notes = "; ".join(dict.fromkeys(finding.note for finding in found))
    spans = [finding.span for finding in found]
    present: Present = "present" if found else "absent"
    return label(slug, present, detector, spans, notes, repaired=repaired, basis=basis)


def over_answers(view: TraceView, find: Callable[[TraceView], Iterable[Finding]]) -> Attempts:
    """Look at every attempted answer as the trace stood then."""
    found = [list(find(answer)) for answer in view.answers]
    if not found:
        return Attempts([], False)
    last, refused = found[-1], [finding for findings in found[:-1] for finding in findings]
    known = {finding.note for finding in last}
    only_refused = {f.note: Finding(f"refused: {f.note}", f.span) for f in refused if f.note not in known}
    return Attempts([*last, *only_refused.values()], bool(refused) and not last)
