"""Screening: would failed trials have succeeded with a candidate from the step on at which the mode showed?

Forks are cheap, because they begin in the middle of a stored trial, and they say more than an association: the
control is the same trial, asked anew. They only choose who goes on to full trials; nothing is kept for a
screening's sake.

Owns: which candidates a mode has, which trials are forked, who goes on. Does not own: forks (`harness/forks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.closed_loop.admission import objections
from harness.closed_loop.lab import Lab, Measured, Stack, arm_name
from harness.closed_loop.ledger import Entry
from harness.closed_loop.ranking import failures
from harness.errors import ConfigurationError
from harness.forks.points import detected
from harness.forks.runner import REROLL
from harness.records import TrialRecord
from harness.report.metrics import METRICS, number, primary_column
from harness.statistics import scenario_contrast, trials_frame
from interventions.registry import compose, load, registered_for


def look_up(lab: Lab, slug: str, stack: Stack, tested: Sequence[str]) -> Entry:
    """Interventions that say they reduce a mode, without those that are stacked, tested or cannot join the stack."""
    out: dict[str, str] = {}
    for name in lab.rules.candidates:
        if problems := objections(name):
            out[name] = "; ".join(problems)
    admitted = [name for name in lab.rules.candidates if name not in out]
    known = [*(name for name in admitted if slug in load(name, lab.config.interventions.get(name)).targets)]
    known += registered_for(slug)
    fitting = []
    for name in known:
        if name in stack:
            out[name] = "already in the stack"
        elif name in tested:
            out[name] = "tested in full trials before"
        elif reason := misfit(lab, (*stack, name)):
            out[name] = reason
        else:
            fitting.append(name)
    names = ", ".join(fitting) or "none"
    return Entry(
        step="lookup",
        subject=slug,
        decision=f"Candidates against {slug}: {names}.",
        evidence={"candidates": fitting, "left_out": out},
    )


def misfit(lab: Lab, stack: Stack) -> str:
    """Why these interventions cannot be in one arm; empty when they can."""
    try:
        compose(arm_name(stack), stack, lab.config.interventions)
    except ConfigurationError as error:
        return "; ".join(problem.what for problem in error.problems)
    return ""


def screen(
    lab: Lab, name: str, ground: Measured, stack: Stack, slug: str, candidates: Sequence[str]
) -> Entry:
    """Fork failed trials of the present stack at the mode's first sign, under each candidate and as a re-roll."""
    trials = forkable(lab, ground, stack, slug)
    if not trials:
        return Entry(
            step="screening",
            subject=slug,
            decision=f"No failed trial shows where {slug} begins: all candidates go on unscreened.",
            evidence={"finalists": list(candidates[: lab.rules.finalists]), "lethality": []},
        )
    arms = [(*stack, candidate) for candidate in candidates]
    found = lab.fork(name, ground.run.path, [one.spec.trial_id for one in trials], slug, arms)
    records = lab.forked(name)
    column = primary_column(lab.config.primary_metric)
    entries = [
        {"candidate": candidate, "gain": gain(trials_frame(records), arm_name(arm), column), **lethal}
        for candidate, arm in zip(candidates, arms, strict=True)
        for lethal in found["lethality"]
        if (lethal["slug"], lethal["arm"]) == (slug, arm_name(arm))
    ]
    entries.sort(key=lambda one: -one["gain"]["estimate"])
    finalists = [one["candidate"] for one in entries if one["gain"]["estimate"] > 0][: lab.rules.finalists]
    return Entry(
        step="screening",
        subject=slug,
        decision=f"{told(entries, len(trials), lab.config.primary_metric)} {chosen(finalists)}",
        evidence={"finalists": finalists, "lethality": entries},
        run=name,
        trials=len(records),
        usd=sum(record.usage.cost_usd for record in records),
    )


def gain(rows: pd.DataFrame, arm: str, column: str) -> dict[str, Any]:
    """Improvement of the primary metric over the re-roll of the same trials; more is better."""
    sides = (REROLL, arm) if METRICS[column].better == "lower" else (arm, REROLL)
    return scenario_contrast(rows, *sides, column, METRICS[column].bounds)._asdict()


def forkable(lab: Lab, ground: Measured, stack: Stack, slug: str) -> list[TrialRecord]:
    """Failed trials of the present stack in which a detector points at the mode, scenarios taking turns."""
    arm, column = arm_name(stack), primary_column(lab.config.primary_metric)
    rows = ground.rows
    rows = rows.loc[(rows["arm"] == arm) & ~rows["excluded"].astype(bool)]
    failed = {name for name, lost in zip(rows["trial_id"], failures(rows, column), strict=True) if lost}
    shown = [
        record
        for record in ground.records
        if record.spec.trial_id in failed and record.trace is not None and detected([record], [slug])
    ]
    shown.sort(key=lambda record: (record.spec.repeat, record.spec.scenario))
    return shown[: lab.rules.screen_trials]


def told(entries: Sequence[dict[str, Any]], trials: int, metric: str) -> str:
    """What came out, best first."""
    effects = ", ".join(f"{one['candidate']} {number(one['gain']['estimate'], 2, True)}" for one in entries)
    return f"From the mode's first sign on in {trials} failed trials, better {metric} than a re-roll by: {effects}."


def chosen(finalists: Sequence[str]) -> str:
    """Who goes on."""
    return f"Full trials: {', '.join(finalists)}." if finalists else "None did better than asking again."
