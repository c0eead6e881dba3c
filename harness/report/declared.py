"""Declared before, looked at after: the pre-registration as the report shows it.

Owns: what was declared, what the report computed beside it, and every deviation. Does not own: the plan's
freezing (`harness/store.py`) or the declaration itself (`harness/experiment.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.records import Plan, TrialRecord


def declared(
    plan: Plan, records: Sequence[TrialRecord], contrasts: Sequence[Mapping[str, Any]], spared: int
) -> dict[str, Any]:
    """What the plan fixed before the first trial, what was looked at after, and where the two part."""
    primary = [entry for entry in contrasts if entry["family"] == "primary"]
    others = [entry for entry in contrasts if entry["family"] != "primary"]
    declaration = plan.declaration
    return {
        "before": {
            "primary_metric": plan.primary_metric,
            "contrasts": [list(pair) for pair in plan.contrasts],
            "family": declaration.family,
            "pooled": {name: [list(pair) for pair in pairs] for name, pairs in declaration.pooled.items()},
            "exclusions": list(declaration.exclusions),
            "stopping": dict(declaration.stopping),
            "no_harm_margin": declaration.no_harm_margin,
            "trials": len(plan.trials),
        },
        "after": {
            "primary_tests": len([entry for entry in primary if entry["p_value"] is not None]),
            "exploratory_tests": len([entry for entry in others if entry["p_value"] is not None]),
            "exploratory_metrics": list(dict.fromkeys(entry["metric"] for entry in others)),
            "trials": len(records),
            "spared": spared,
        },
        "deviations": deviations(plan, records, primary, spared),
    }


def deviations(
    plan: Plan, records: Sequence[TrialRecord], primary: Sequence[Mapping[str, Any]], spared: int
) -> list[str]:
    """Every way in which what was done differs from what was declared, one sentence each."""
    found = []
    owed = len(plan.trials) - len(records) - spared
    if owed > 0:
        found.append(f"Looked at {len(records)} of {len(plan.trials)} planned trials; {owed} are owed.")
    allowed = plan.declaration.exclusions
    excluded = Counter(record.reason for record in records if record.status == "excluded")
    for reason, count in sorted(excluded.items(), key=str):
        if reason not in allowed:
            found.append(
                f"{count} trials were excluded for {reason}, which was not declared as an exclusion."
            )
    silent = [entry for entry in primary if entry["estimate"] is None]
    for entry in silent:
        found.append(
            f"{entry['arm']} − {entry['reference']} on {entry['model']} was declared and has no pair."
        )
    frozen = plan.hashes.get("taxonomy")
    used = {label.taxonomy for record in records for label in record.labels if label.taxonomy}
    for other in sorted(used - {frozen}) if frozen and used else ():
        found.append(f"Modes were labelled with taxonomy {other}; the plan froze {frozen}.")
    return found
