"""The scenario x arm matrix: every run as a mark, and flips against the reference arm.

Owns: the matrix's content. Does not own: its markup (`templates/report.html.j2`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from harness.records import Plan, TrialRecord, TrialSpec

MARKS = {
    "full": ("●", "recall 1"),
    "partial": ("◐", "recall between 0 and 1"),
    "none": ("○", "recall 0"),
    "failed": ("✕", "failed, counts as zero"),
    "excluded": ("–", "excluded"),
    "owed": ("·", "owed or spared"),
}
"""Outcome of a run -> its mark and what it means."""


def natural(scenario: str) -> list[tuple[int, str]]:
    """Sort key that puts `.../2` before `.../16`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", scenario)]


def matrix(
    plan: Plan, arms: Sequence[str], model: str, agent: str, found: Mapping[str, tuple[TrialRecord, str]]
) -> list[dict[str, Any]]:
    """One row per scenario with one cell per arm. `found` maps trial ids to record and anchor."""
    specs = [spec for spec in plan.trials if (spec.model, spec.agent) == (model, agent)]
    rows = []
    for scenario in sorted({spec.scenario for spec in specs}, key=natural):
        runs: dict[str, list[dict[str, Any]]] = {}
        for arm in arms:
            of_cell = [spec for spec in specs if spec.scenario == scenario and spec.arm == arm]
            runs[arm] = [_run(spec, found.get(spec.trial_id)) for spec in sorted(of_cell, key=_by_repeat)]
        reference = runs.get(plan.reference_arm, [])
        cells = [
            {"runs": runs[arm], **(flips(runs[arm], reference) if arm != plan.reference_arm else NO_FLIPS)}
            for arm in arms
        ]
        rows.append({"scenario": scenario, "cells": cells})
    return rows


NO_FLIPS = {"gained": 0, "lost": 0}


def flips(runs: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Repeats that reach full recall here and not in the reference arm, and the other way round.

    Only repeats that both arms have count."""
    decided = ("full", "partial", "none", "failed")
    before = {run["repeat"]: run["outcome"] == "full" for run in reference if run["outcome"] in decided}
    after = {run["repeat"]: run["outcome"] == "full" for run in runs if run["outcome"] in decided}
    both = before.keys() & after.keys()
    return {
        "gained": sum(after[repeat] and not before[repeat] for repeat in both),
        "lost": sum(before[repeat] and not after[repeat] for repeat in both),
    }


def outcome(record: TrialRecord) -> str:
    """The key of MARKS that describes a finished trial."""
    if record.status != "scored" or record.score is None:
        return record.status
    if record.score.recall >= 1:
        return "full"
    return "partial" if record.score.recall > 0 else "none"


def _run(spec: TrialSpec, found: tuple[TrialRecord, str] | None) -> dict[str, Any]:
    name = outcome(found[0]) if found else "owed"
    mark, says = MARKS[name]
    fixed = bool(found and found[0].status == "scored" and found[0].verdict and found[0].verdict.all_clear)
    says = f"repeat {spec.repeat}: {says}{', remediated' if fixed else ''}"
    anchor = found[1] if found else None
    return {
        "repeat": spec.repeat,
        "outcome": name,
        "mark": mark,
        "says": says,
        "fixed": fixed,
        "anchor": anchor,
    }


def _by_repeat(spec: TrialSpec) -> int:
    return spec.repeat
