"""Confirmation: a candidate in full paired trials with new seeds, and the whole stack once on held-out scenarios.

A candidate is kept only if all of this holds:

    effect      the interval of the primary metric, valid at every look and at the candidate's share of the level,
                excludes zero on the better side
    no harm     the other outcomes are not worse by the margin (TOST, one side)
    exclusions  the effect keeps its sign when excluded trials count against the candidate
    audit       every record says what its trace says (`audit.py`)

Owns: these conditions. Does not own: their statistics (`harness/statistics`) or the stopping rule (`sequential.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.closed_loop.audit import audit
from harness.closed_loop.lab import Lab, Measured, Stack, arm_name
from harness.closed_loop.ledger import Entry
from harness.closed_loop.ranking import OUTCOMES
from harness.report.metrics import METRICS, interval, number, primary_column
from harness.sequential import LOWER_IS_BETTER, progress, scenario_order
from harness.statistics import paired_differences, scenario_contrast
from harness.statistics.denominators import contrast_bounds
from harness.statistics.matched import tost
from harness.statistics.sequential import symmetric_sequence

HARM_LEVEL = 0.05
WIDEST = {"modes_per_trace": 14.0}
"""How far a difference can be from zero; 1 for shares."""


def confirm(lab: Lab, name: str, stack: Stack, candidate: str, seed: int) -> Entry:
    """Test a candidate on top of the stack; `evidence.kept` says whether it stays."""
    longer = (*stack, candidate)
    alpha = lab.config.stopping.alpha / lab.rules.tests
    stopping = {**lab.config.stopping.model_dump(), "rule": "sequential", "alpha": alpha, "complete": True}
    found = lab.measure(name, [stack, longer], seed, stopping=stopping)
    evidence = effect(found, alpha)
    arm, reference = arm_name(longer), arm_name(stack)
    reasons = [] if evidence["favours"] else [undecided(evidence)]
    if not reasons:
        evidence["no_harm"] = no_harm(lab, found.rows, arm, reference)
        reasons += [harm for one in evidence["no_harm"] if (harm := harmed(one))]
        evidence["exclusions"] = least = worst_case(found, arm, reference)
        if least is not None and least <= 0:
            reasons.append(f"with excluded trials counted against it the effect is {number(least, 2, True)}")
        checked = audit(found.config, found.run)
        evidence["audit"] = checked._asdict()
        if not checked.passed:
            reasons.append(
                f"{len(checked.differing)} of {checked.trials} records are not what their traces say"
            )
    kept = not reasons
    size = f"{number(evidence['estimate'], 2, True)} {interval(evidence['low'], evidence['high'], 2, True)}"
    why = "no harm shown elsewhere, records audited" if kept else "; ".join(reasons)
    return Entry(
        step="confirmation",
        subject=arm,
        decision=f"{'Kept' if kept else 'Refused'} {candidate}: {lab.config.primary_metric} {size}; {why}.",
        evidence={"candidate": candidate, "kept": kept, "reasons": reasons, **evidence},
        run=name,
        trials=len(found.records),
        usd=found.cost,
    )


def effect(found: Measured, alpha: float) -> dict[str, Any]:
    """The only contrast of a finished sequential run, over all scenarios that ran."""
    (look,) = progress(found.plan, found.records).looks
    metric, (arm, reference) = found.plan.primary_metric, found.plan.contrasts[0]
    known = paired_differences(found.rows, arm, reference, primary_column(metric))[0]
    d = [known[scenario] for scenario in scenario_order(found.plan) if scenario in known]
    low, high = symmetric_sequence(d, alpha, WIDEST.get(metric, 1.0))
    return {
        "metric": metric,
        "favours": look.favours(metric),
        "state": look.state,
        "decided_after": len(look.differences),
        "e_value": math.exp(look.log_e),
        "e_needed": math.exp(look.needed),
        "estimate": sum(d) / len(d) if d else None,
        "low": low,
        "high": high,
        "alpha": alpha,
        "scenarios": len(d),
        "planned": len(found.plan.trials),
        "ran": len(found.records),
    }


def undecided(evidence: Mapping[str, Any]) -> str:
    """Why an effect does not count."""
    if evidence["state"] == "differs":
        return "it makes the primary metric worse"
    state = {
        "futile": "given up, the wanted effect is out of reach",
        "exhausted": "not shown in all scenarios",
    }
    return state.get(evidence["state"], "not shown")


def no_harm(lab: Lab, rows: pd.DataFrame, arm: str, reference: str) -> list[dict[str, Any]]:
    """One entry per other outcome that the environment decides."""
    primary = primary_column(lab.config.primary_metric)
    entries = []
    for metric in OUTCOMES:
        differences = list(paired_differences(rows, arm, reference, metric)[0].values())
        if metric == primary or not differences:
            continue
        found = tost(differences, lab.config.no_harm_margin, METRICS[metric].better)
        mean = sum(differences) / len(differences)
        entries.append({"metric": metric, "estimate": mean, **found._asdict()})
    return entries


def harmed(entry: Mapping[str, Any]) -> str:
    """What no-harm lacks; empty when it holds."""
    if entry["p_not_worse"] is not None and entry["p_not_worse"] < HARM_LEVEL:
        return ""
    size = number(entry["estimate"], 2, True)
    return f"no harm is not shown for {entry['metric']} ({size}, margin {number(entry['margin'])})"


def worst_case(found: Measured, arm: str, reference: str) -> float | None:
    """The improvement with excluded trials counted as 0 in the arm and 1 in the reference; None without any."""
    rows, metric = found.rows, found.plan.primary_metric
    if not rows["excluded"].any() or metric in LOWER_IS_BETTER:
        return None
    return contrast_bounds(rows, arm, reference, primary_column(metric))["least"]


def hold_out(lab: Lab, name: str, stack: Stack, seed: int) -> Entry:
    """The stack against the bare system on scenarios that the search never saw. Nothing follows from it."""
    found = lab.measure(name, [(), stack], seed, scenario=lab.rules.held_out)
    arm, rows = arm_name(stack), found.rows
    metric = primary_column(lab.config.primary_metric)
    columns = [metric, *(one for one in (*OUTCOMES, "modes", "tokens") if one != metric)]
    contrasts = {
        column: scenario_contrast(rows, arm, "baseline", column, METRICS[column].bounds)._asdict()
        for column in columns
    }
    checked = audit(found.config, found.run)
    main = contrasts[metric]
    low, high = main["low"], main["high"]
    better = (
        high is not None and high < 0 if METRICS[metric].better == "lower" else low is not None and low > 0
    )
    confirmed = better and checked.passed
    size = f"{number(main['estimate'], 2, True)} {interval(low, high, 2, True)}"
    says = "Confirmed" if confirmed else "Not confirmed"
    trials = f"{main['scenarios']} held-out scenarios"
    return Entry(
        step="held_out",
        subject=arm,
        decision=f"{says} on {trials}: {lab.config.primary_metric} {size} against the bare system.",
        evidence={"confirmed": confirmed, "contrasts": contrasts, "audit": checked._asdict()},
        run=name,
        trials=len(found.records),
        usd=found.cost,
    )
