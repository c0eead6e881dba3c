"""The trials table: one row per trial, the shape that all statistics work on.

Owns: the columns and the policy by which a record becomes numbers. Does not own: any estimate.

Policy. A failed trial counts as zero (recall, precision, F1, mutation recall, remediation) whatever it left
behind; what it spent and the failure modes its trace shows count as they are. An excluded trial keeps its
row, flagged, with missing values. On recorded data nothing can be remediated and nobody injected anything:
remediation and mutation recall are missing there, not zero. A mode is present when any source says so, absent
when at least one source decided and none says present, and missing otherwise; proposals are no decisions.
Attempts count: `modes` holds modes that only refused submissions showed, `modes_final` leaves out what was
repaired before the last answer. Only the 14 modes are counted: not the verification atoms beside them, nor the
SRE extensions. Tokens and money of an agent that brings its own model and does not report them are missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from harness.mast.taxonomy import MODES
from harness.records import Label, TrialRecord

MODE = "mode_"
"""Prefix of the columns that hold one failure mode each: 1 present, 0 absent, missing when undecided."""

SCORES = ("recall", "precision", "f1", "recall_strict", "mutation_recall")
_MISSING = math.nan


def trials_frame(records: Iterable[TrialRecord]) -> pd.DataFrame:
    """One row per trial, sorted by model, agent, arm, scenario and repeat.

    `recall` ... `mutation_recall` and `remediated` in [0, 1]; `modes` distinct modes present in the trace,
    `modes_final` without repaired ones;
    `modes_per_10_steps` per ten attempted tool calls (executed or denied); `tokens` input plus output;
    `agent_seconds` on the environment's clock. Raises ValueError naming every trial that is scored without
    a score, and every trial that occurs twice.
    """
    records = sorted(records, key=_order)
    _refuse_inconsistent(records)
    slugs = sorted({label.slug for record in records for label in record.labels})
    rows = [_row(record, slugs) for record in records]
    return pd.DataFrame(rows, columns=_columns(slugs)).astype(dict.fromkeys(_float_columns(slugs), "float64"))


def mode_slugs(frame: pd.DataFrame) -> list[str]:
    """The failure modes that the table knows, in alphabetical order."""
    return [str(column).removeprefix(MODE) for column in frame.columns if str(column).startswith(MODE)]


def combine_sources(labels: Sequence[Label]) -> dict[str, float]:
    """Slug -> 1.0 present, 0.0 absent; a mode that no source could decide is left out."""
    decided: dict[str, float] = {}
    for label in labels:
        if label.basis == "decides" and label.present in ("present", "absent"):
            decided[label.slug] = max(decided.get(label.slug, 0.0), float(label.present == "present"))
    return decided


def count_modes(labels: Sequence[Label], final: bool = False) -> float:
    """Distinct modes of the 14 that are present, `final` without repaired ones; NaN when none was decided."""
    kept = [
        label.model_copy(update={"present": "absent"}) if final and label.repaired else label
        for label in labels
    ]
    decided = combine_sources(kept)
    return sum(decided.get(slug, 0.0) for slug in MODES) if decided else _MISSING


def _order(record: TrialRecord) -> tuple[str, str, str, str, int, str]:
    spec = record.spec
    return (spec.model, spec.agent, spec.arm, spec.scenario, spec.repeat, spec.trial_id)


def _refuse_inconsistent(records: Sequence[TrialRecord]) -> None:
    seen: set[str] = set()
    problems: list[str] = []
    for record in records:
        name = record.spec.trial_id
        if name in seen:
            problems.append(f"trial {name}: recorded twice, expected once")
        seen.add(name)
        if record.status == "scored" and record.score is None:
            problems.append(f"trial {name}: status is scored but it has no score")
        if record.status != "scored" and not record.reason:
            problems.append(f"trial {name}: status is {record.status} but it has no reason code")
    if problems:
        raise ValueError("\n".join(problems))


def _row(record: TrialRecord, slugs: Sequence[str]) -> dict[str, object]:
    spec, usage = record.spec, record.usage
    labels = record.labels if record.status != "excluded" else ()
    modes, present = combine_sources(labels), count_modes(labels)
    known = record.usage_source != "unknown"
    return {
        **spec.model_dump(),
        "status": record.status,
        "reason": record.reason,
        "excluded": record.status == "excluded",
        "simulated": record.simulated,
        **_scores(record),
        "remediated": _remediated(record),
        **_verdict(record),
        "modes": present,
        "modes_final": count_modes(labels, final=True),
        "modes_per_10_steps": 10 * present / max(record.tool_calls, 1),
        **{MODE + slug: modes.get(slug, _MISSING) for slug in slugs},
        "planted_modes": float(len({failure.slug for failure in record.planted})),
        "attempts": record.attempts,
        "turns": record.turns,
        "tool_calls": record.tool_calls,
        "denied_calls": record.denied_calls,
        "guard_firings": sum(record.guard_firings.values()),
        "tokens": float(usage.input_tokens + usage.output_tokens) if known else _MISSING,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "model_calls": usage.calls,
        "model_retries": usage.retries,
        "cost_usd": usage.cost_usd if known else _MISSING,
        "agent_seconds": record.agent_seconds,
        "wall_seconds": record.wall_seconds,
    }


def _scores(record: TrialRecord) -> dict[str, float]:
    if record.status == "scored" and record.score is not None:
        score = record.score
        scores = {name: getattr(score, name) for name in SCORES}
    else:
        scores = dict.fromkeys(SCORES, 0.0 if record.status == "failed" else _MISSING)
    return scores if record.can_act else scores | {"mutation_recall": _MISSING}


def _remediated(record: TrialRecord) -> float:
    if record.status == "excluded" or not record.can_act:
        return _MISSING
    if record.status == "failed":
        return 0.0
    return float(record.verdict.all_clear) if record.verdict is not None else _MISSING


def _verdict(record: TrialRecord) -> dict[str, float]:
    verdict = record.verdict
    if verdict is None:
        return dict.fromkeys(("symptom_cleared", "cause_removed", "collateral_damage"), _MISSING)
    return {
        "symptom_cleared": float(verdict.symptom_cleared),
        "cause_removed": float(verdict.cause_removed),
        "collateral_damage": float(verdict.collateral_damage),
    }


def _float_columns(slugs: Sequence[str]) -> list[str]:
    outcome = ["remediated", "symptom_cleared", "cause_removed", "collateral_damage"]
    counts = ["planted_modes", "tokens", "tool_calls", "denied_calls", "cost_usd", "turns"]
    modes = ["modes", "modes_final", "modes_per_10_steps", *(MODE + slug for slug in slugs)]
    return [*SCORES, *outcome, *modes, *counts, "agent_seconds", "wall_seconds"]


def _columns(slugs: Sequence[str]) -> list[str]:
    """The same columns also for a table without rows."""
    spec = ["trial_id", "scenario", "model", "agent", "arm", "repeat", "seed"]
    state = ["status", "reason", "excluded", "simulated"]
    outcome = ["remediated", "symptom_cleared", "cause_removed", "collateral_damage"]
    modes = ["modes", "modes_final", "modes_per_10_steps", *(MODE + slug for slug in slugs), "planted_modes"]
    effort = ["attempts", "turns", "tool_calls", "denied_calls", "guard_firings"]
    usage = ["tokens", "input_tokens", "output_tokens", "cached_tokens", "model_calls", "model_retries"]
    spent = ["cost_usd", "agent_seconds", "wall_seconds"]
    return [*spec, *state, *SCORES, *outcome, *modes, *effort, *usage, *spent]
