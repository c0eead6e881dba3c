"""`results.json`: every number of an experiment as one plain dictionary.

Owns: the document's structure. Does not own: the statistics (`harness/statistics`) or how numbers are shown.
It holds no clock time, no path and nothing that depends on the executor, so that the same trials give the
same document.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pandas as pd

from harness.errors import CAUSES
from harness.records import Plan, TrialRecord
from harness.report.analyses import analyses
from harness.report.answer import answer
from harness.report.arms import Cell, arm_entry, cells_of
from harness.report.correction import Calibrations, corrected_modes
from harness.report.declared import declared
from harness.report.guards import factorial_entry, false_alarm_entries
from harness.report.metrics import CONTRASTED, METRICS, UNIT, primary_column, public_name
from harness.report.policy import INFERENCE, POLICY, RECORDED, SIMULATED, STOPPED
from harness.report.stopping import stopping_entry
from harness.statistics import benjamini_hochberg, count_trials, holm, scenario_contrast, trials_frame
from harness.statistics.denominators import contrast_bounds


def build_results(
    plan: Plan,
    records: Sequence[TrialRecord],
    frame: pd.DataFrame | None = None,
    calibrations: Calibrations | None = None,
) -> dict[str, Any]:
    """All numbers of an experiment; `frame` is the records' table where the caller has it, `calibrations`
    what is known of the classifier's errors.

    Raises ValueError when records contradict the plan (unplanned, recorded twice, scored without a score) and
    ConfigurationError when the primary metric does not exist."""
    primary = primary_column(plan.primary_metric)
    sequential, spared = stopping_entry(plan, records)
    frame = trials_frame(records) if frame is None else frame
    cells = cells_of(plan)
    contrasts = _contrasts(plan, frame, primary)
    simulated = sorted({record.spec.model for record in records if record.simulated})
    results: dict[str, Any] = {
        "schema": 1,
        "experiment": plan.experiment,
        "question": plan.question,
        "simulated": bool(simulated),
        "simulated_models": simulated,
        "simulated_note": SIMULATED if simulated else None,
        "primary_metric": plan.primary_metric,
        "reference_arm": plan.reference_arm,
        "plan": {"digest": plan.digest, "hashes": dict(sorted(plan.hashes.items()))},
        "denominators": count_trials(plan.trials, records, spared).as_dict(),
        "denominators_by_arm": [_cell_denominators(cell, plan, records, spared) for cell in cells],
        "reasons": _reasons(cells, records),
        "arms": [arm_entry(cell, plan, frame, records) for cell in cells],
        "contrasts": contrasts,
        "analyses": analyses(plan, frame, primary),
        "sequential": sequential,
        "declared": declared(plan, records, contrasts, len(spared)),
        "false_alarms": false_alarm_entries(plan, records),
        "factorial": factorial_entry(plan, frame, [primary, *(c for c in CONTRASTED if c != primary)]),
        "policy": POLICY if all(record.can_act for record in records) else {**POLICY, "recorded": RECORDED},
        "inference": {**INFERENCE, "stopping": STOPPED} if sequential else INFERENCE,
    }
    if calibrations is not None:
        results["analyses"]["corrected_modes"] = corrected_modes(plan, frame, calibrations)
    results["answer"] = answer(results)
    return _plain(results)  # type: ignore[no-any-return]


def _cell_denominators(
    cell: Cell, plan: Plan, records: Sequence[TrialRecord], spared: Collection[str]
) -> dict[str, Any]:
    planned = [spec for spec in plan.trials if cell.holds(spec)]
    counts = count_trials(planned, [record for record in records if cell.holds(record.spec)], spared)
    return {**cell._asdict(), **counts.as_dict()}


def _reasons(cells: Sequence[Cell], records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """Why trials failed or were excluded, counted per arm."""
    rows = []
    for cell in cells:
        ended = [(r.status, r.reason) for r in records if r.reason and cell.holds(r.spec)]
        for status, reason in sorted(set(ended), key=str):
            says = CAUSES[reason].says if reason in CAUSES else ""
            row = {"status": status, "reason": reason, "n": ended.count((status, reason)), "says": says}
            rows.append({**cell._asdict(), **row})
    return rows


def _contrasts(plan: Plan, frame: pd.DataFrame, primary: str) -> list[dict[str, Any]]:
    """Every declared contrast, for each model and agent; the primary metric first."""
    metrics = [primary, *(column for column in CONTRASTED if column != primary)]
    systems = list(dict.fromkeys((spec.model, spec.agent) for spec in plan.trials))
    entries = []
    for column in metrics:
        for model, agent in systems:
            of_system = frame.loc[(frame["model"] == model) & (frame["agent"] == agent)]
            for arm, reference in plan.contrasts:
                family = "primary" if column == primary else "exploratory"
                entry = {"model": model, "agent": agent, "arm": arm, "reference": reference}
                entry |= {"metric": public_name(column), "family": family}
                entries.append(entry | _contrast(of_system, arm, reference, column))
    _adjust([entry for entry in entries if entry["family"] == "primary"], "p_holm", holm)
    _adjust([entry for entry in entries if entry["family"] != "primary"], "p_bh", benjamini_hochberg)
    return entries


def _contrast(frame: pd.DataFrame, arm: str, reference: str, column: str) -> dict[str, Any]:
    bounds = METRICS[column].bounds
    involved = frame.loc[frame["arm"].isin([arm, reference])]
    found = scenario_contrast(involved, arm, reference, column, bounds)
    entry: dict[str, Any] = {
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "p_holm": None,
        "p_bh": None,
        "scenarios": found.scenarios,
        "pairs": found.pairs,
        "sd": found.sd,
        "detectable": found.detectable,
        "method": found.method,
        "better": METRICS[column].better,
        "simulated": bool(involved["simulated"].any()),
    }
    if bounds == UNIT and involved["excluded"].any() and found.pairs:
        entry["exclusion_bounds"] = contrast_bounds(involved, arm, reference, column)
    return entry


def _adjust(
    family: Sequence[dict[str, Any]], key: str, correct: Callable[[Sequence[float]], list[float]]
) -> None:
    tested = [entry for entry in family if entry["p_value"] is not None]
    for entry, adjusted in zip(tested, correct([entry["p_value"] for entry in tested]), strict=True):
        entry[key] = adjusted


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: nothing missing as NaN, nothing finer than nine decimals."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        # Adding zero turns -0.0 into 0.0.
        return round(value, 9) + 0.0 if math.isfinite(value) else None
    return value
