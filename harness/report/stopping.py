"""Sequential stopping in a report: what was decided when, and how many trials that saved.

Owns: the entry `sequential` of `results.json`. Does not own: the rule (`harness/sequential.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from harness.records import Plan, TrialRecord
from harness.sequential import Look, is_sequential, progress

DECISIONS = {
    "differs": "differs from zero",
    "futile": "given up: the declared effect is unlikely to be found",
    "exhausted": "undecided after every scenario",
    "undecided": "undecided so far",
}


def stopping_entry(plan: Plan, records: Sequence[TrialRecord]) -> tuple[dict[str, Any] | None, set[str]]:
    """The entry, and the ids of trials that the rule spared. None and nothing under a fixed design."""
    if not is_sequential(plan):
        return None, set()
    found = progress(plan, records)
    wanted = {spec.trial_id for spec in found.wanted}
    ran = {record.spec.trial_id for record in records}
    spared = {spec.trial_id for spec in plan.trials} - wanted - ran if found.finished else set()
    rule = plan.declaration.stopping
    total = len(plan.trials)
    says = (
        f"{len(spared)} of {total} planned trials ({len(spared) / total:.0%}) were not needed."
        if found.finished
        else "The experiment is not finished; how many trials are not needed is not known yet."
    )
    entry = {
        "finished": found.finished,
        "planned": total,
        "spared": len(spared),
        "says": says,
        "effect": rule["effect"],
        "alpha": rule["alpha"],
        "contrasts": [_look(one) for one in found.looks],
    }
    return entry, spared


def _look(found: Look) -> dict[str, Any]:
    model, agent, arm, reference = found.contrast
    low, high = found.limits or (None, None)
    d = found.differences
    return {
        "model": model,
        "agent": agent,
        "arm": arm,
        "reference": reference,
        "state": found.state,
        "decision": DECISIONS[found.state],
        "scenarios": len(d),
        "e_value": math.exp(min(found.log_e, 700.0)),
        "needed": math.exp(found.needed),
        "estimate": sum(d) / len(d) if d else None,
        "low": low,
        "high": high,
    }
