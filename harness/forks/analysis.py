"""What forks say: causal lethality per mode and arm, and the value-of-state curve.

Owns: both estimates and their page. Does not own: the intervals (`harness/statistics`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.forks.bisection import decisive
from harness.forks.points import Point
from harness.forks.replay import success, turn_of, turns
from harness.forks.runner import REROLL
from harness.records import Plan, TrialRecord
from harness.report.metrics import interval, number, p_text
from harness.report.policy import SIMULATED
from harness.statistics import bca_interval, benjamini_hochberg, sign_flip_p
from harness.trace import Event

Key = tuple[str, int, str]
"""Stored trial, turn, arm."""


def analyse(
    plan: Plan,
    points: Sequence[Point],
    events: Mapping[str, list[Event]],
    records: Sequence[TrialRecord],
    search: bool,
) -> dict[str, Any]:
    """All numbers of a fork experiment as one plain dictionary."""
    runs: dict[Key, list[TrialRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda one: one.spec.trial_id):
        fork = record.spec.fork
        if fork is not None and record.status != "excluded":
            runs[fork.trial_id, turn_of(events[fork.trial_id], fork.event), record.spec.arm].append(record)
    simulated = any(record.simulated for record in records)
    return {
        "experiment": plan.experiment,
        "question": plan.question,
        "plan": plan.digest,
        "simulated": simulated,
        "simulated_note": SIMULATED if simulated else None,
        "success": "recall = 1",
        "stored_trials": len(events),
        "forks": len(records),
        "excluded": sum(record.status == "excluded" for record in records),
        "lethality": [] if search else lethality(points, events, runs),
        "value_of_state": value_of_state(events, runs) if search else [],
    }


def lethality(
    points: Sequence[Point], events: Mapping[str, list[Event]], runs: Mapping[Key, list[TrialRecord]]
) -> list[dict[str, Any]]:
    """P(success | arm from the step on) - P(success | re-roll from the step on), per model, mode and arm.

    Paired within the stored trial, averaged within the scenario; intervals over scenarios. Benjamini-Hochberg
    over all entries: they are exploratory."""
    arms = sorted({arm for _, _, arm in runs} - {REROLL})
    grouped: dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]] = {}
    for point in points:
        turn = turn_of(events[point.trial_id], point.event)
        control = runs.get((point.trial_id, turn, REROLL), [])
        for arm in arms:
            treated = runs.get((point.trial_id, turn, arm), [])
            if control and treated:
                spec = control[0].spec
                pairs = grouped.setdefault((spec.model, point.slug, arm), defaultdict(list))
                pairs[spec.scenario].append((rate(treated), rate(control)))
    entries = [_entry(key, by_scenario) for key, by_scenario in sorted(grouped.items())]
    adjusted = benjamini_hochberg([float(entry["p_value"]) for entry in entries])
    for entry, p_value in zip(entries, adjusted, strict=True):
        entry["p_bh"] = p_value
    return entries


def _entry(
    key: tuple[str, str, str], by_scenario: Mapping[str, Sequence[tuple[float, float]]]
) -> dict[str, Any]:
    model, slug, arm = key
    means = np.array([np.mean(pairs, axis=0) for _, pairs in sorted(by_scenario.items())])
    differences = means[:, 0] - means[:, 1]
    low, high, method = bca_interval(differences)
    if low is not None and high is not None:
        low, high = max(low, -1.0), min(high, 1.0)  # a difference of two chances
    return {
        "model": model,
        "slug": slug,
        "arm": arm,
        "fixed": float(means[:, 0].mean()),
        "reroll": float(means[:, 1].mean()),
        "estimate": float(differences.mean()),
        "low": low,
        "high": high,
        "method": method,
        "p_value": sign_flip_p(differences),
        "scenarios": len(differences),
        "steps": sum(map(len, by_scenario.values())),
    }


def rate(records: Sequence[TrialRecord]) -> float:
    """Share of successes."""
    return sum(map(success, records)) / len(records)


def value_of_state(
    events: Mapping[str, list[Event]], runs: Mapping[Key, list[TrialRecord]]
) -> list[dict[str, Any]]:
    """Per stored trial V(t) at the measured turns, and the turn that lost the state."""
    curves = []
    for name, trace in events.items():
        measured = {
            turn: records for (trial, turn, arm), records in runs.items() if trial == name and arm == REROLL
        }
        if not measured:
            continue
        values = {turn: rate(records) for turn, records in sorted(measured.items())}
        lost = decisive(values, turns(trace))
        curves.append(
            {
                "trial": name,
                "turns": turns(trace),
                "values": {str(turn): value for turn, value in values.items()},
                "rerolls": {str(turn): len(measured[turn]) for turn in values},
                "decisive_turn": lost,
            }
        )
    return curves


def report(results: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    lines = [f"# {results['experiment']}", "", f"**{results['question']}**", ""]
    if results["simulated"]:
        lines += [f"> **Simulated.** {results['simulated_note']}", ""]
    lines += [
        f"{results['stored_trials']} stored trials, {results['forks']} forks, {results['excluded']} excluded. "
        "Success: recall = 1. Every fork is in the recorded state at its step; a fork that was not is excluded.",
        "",
    ]
    if results["lethality"]:
        lines += [
            "Effect: P(success | arm from the step on) − P(success | re-roll from the step on), 95 % interval over "
            "scenarios; exploratory.",
            "",
            "| model | mode | arm | effect | with arm | re-roll | p (BH) | steps | scenarios |",
            "|" + " --- |" * 9,
            *(_row(entry) for entry in results["lethality"]),
            "",
        ]
    for curve in results["value_of_state"]:
        points = ", ".join(f"V({turn}) = {number(value)}" for turn, value in curve["values"].items())
        turn = curve["decisive_turn"]
        where = "no turn found that lost it" if turn is None else f"lost in turn {turn}"
        lines.append(f"- {curve['trial']} ({curve['turns']} turns): {points}; {where}.")
    return "\n".join(lines).rstrip() + "\n"


def _row(entry: Mapping[str, Any]) -> str:
    effect = f"{number(entry['estimate'], 2, True)} {interval(entry['low'], entry['high'], 2, True)}"
    shares = f"{number(entry['fixed'])} | {number(entry['reroll'])}"
    counts = f"{entry['steps']} | {entry['scenarios']}"
    slug = entry["slug"] or "(chosen event)"
    p = p_text(entry["p_bh"])
    return f"| {entry['model']} | {slug} | {entry['arm']} | {effect} | {shares} | {p} | {counts} |"
