"""The scenario x arm matrix: every run as a mark, and flips against the reference arm.

Owns: the matrix's content. Does not own: its markup (`templates/matrix.html.j2`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.records import Plan, TrialRecord, TrialSpec

if TYPE_CHECKING:
    from harness.report.index import TrialIndex

MARKS = {
    "full": ("●", "recall 1"),
    "partial": ("◐", "recall between 0 and 1"),
    "none": ("○", "recall 0"),
    "failed": ("✕", "failed, counts as zero"),
    "excluded": ("–", "excluded"),
    "owed": ("·", "owed or spared"),
}
"""Outcome of a run -> its mark and what it means."""
DECIDED = ("full", "partial", "none", "failed")
Run = dict[str, Any]


def natural(scenario: str) -> list[tuple[int, str]]:
    """Sort key that puts `.../2` before `.../16`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", scenario)]


def matrix(plan: Plan, arms: Sequence[str], model: str, agent: str, index: TrialIndex) -> list[Run]:
    """One row per scenario with one cell per arm: its runs, its flips, and what a click on it shows."""
    found = {record.spec.trial_id: record for record in index.records}
    by_cell: dict[tuple[str, str], list[TrialSpec]] = {}
    for spec in plan.trials:
        if (spec.model, spec.agent) == (model, agent):
            by_cell.setdefault((spec.scenario, spec.arm), []).append(spec)
    system = {"model": model, "agent": agent}
    rows = []
    for scenario in sorted({scenario for scenario, _ in by_cell}, key=natural):
        runs = {
            arm: [
                _run(spec, found.get(spec.trial_id))
                for spec in sorted(by_cell.get((scenario, arm), ()), key=_by_repeat)
            ]
            for arm in arms
        }
        reference = runs.get(plan.reference_arm, [])
        cells = []
        for arm in arms:
            is_reference = arm == plan.reference_arm
            changed = NO_FLIPS if is_reference else flips(runs[arm], reference)
            pair = None if is_reference or not reference else (arm, plan.reference_arm)
            only = None if pair else arm
            link = index.trials(system, arm=only, pair=pair, scenario=scenario)
            cells.append(
                {"arm": arm, "runs": _flipped(runs[arm], reference, is_reference), **changed}
                | {"link": link, "says": f"{scenario}, {arm}: {_told(runs[arm], changed)}"}
            )
        rows.append({"scenario": scenario, "cells": cells})
    return rows


NO_FLIPS = {"gained": 0, "lost": 0}


def flips(runs: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Repeats that reach full recall here and not in the reference arm, and the other way round.

    Only repeats that both arms have count."""
    before = {run["repeat"]: run["outcome"] == "full" for run in reference if run["outcome"] in DECIDED}
    after = {run["repeat"]: run["outcome"] == "full" for run in runs if run["outcome"] in DECIDED}
    both = before.keys() & after.keys()
    return {
        "gained": sum(after[repeat] and not before[repeat] for repeat in both),
        "lost": sum(before[repeat] and not after[repeat] for repeat in both),
    }


def tallies(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
    """Flips of every arm over all scenarios."""
    columns = zip(*(row["cells"] for row in rows), strict=True)
    return [{key: sum(cell[key] for cell in column) for key in NO_FLIPS} for column in columns]


def outcome(record: TrialRecord) -> str:
    """The key of MARKS that describes a finished trial."""
    if record.status != "scored" or record.score is None:
        return record.status
    if record.score.recall >= 1:
        return "full"
    return "partial" if record.score.recall > 0 else "none"


def _run(spec: TrialSpec, record: TrialRecord | None) -> Run:
    name = outcome(record) if record else "owed"
    fixed = bool(record and record.status == "scored" and record.verdict and record.verdict.all_clear)
    return {"repeat": spec.repeat, "outcome": name, "mark": MARKS[name][0], "fixed": fixed}


def _flipped(runs: Sequence[Run], reference: Sequence[Run], is_reference: bool) -> list[Run]:
    """Each run with the way in which it differs from its partner: `gained`, `lost` or nothing."""
    partners = {run["repeat"]: run for run in reference}
    marked = []
    for run in runs:
        partner = partners.get(run["repeat"])
        changed = flips([run], [partner]) if partner and not is_reference else NO_FLIPS
        marked.append({**run, "flip": next((key for key, count in changed.items() if count), "")})
    return marked


def _told(runs: Sequence[Run], changed: Mapping[str, int]) -> str:
    """What the marks of a cell say, for those who do not see them."""
    counted = Counter(MARKS[run["outcome"]][1] for run in runs)
    parts = [f"{count} of {len(runs)} {says}" for says, count in counted.items()]
    if fixed := sum(run["fixed"] for run in runs):
        parts.append(f"{fixed} remediated")
    parts += [f"{count} {key} against the reference" for key, count in changed.items() if count]
    return "; ".join(parts) or "not planned"


def _by_repeat(spec: TrialSpec) -> int:
    return spec.repeat
