"""What guards cost runs that need none, and what a factorial design says about them.

Owns: the entries `false_alarms` and `factorial` of `results.json` and their tables on the terminal. Does not
own: the figures (`harness/statistics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from harness.factorial import Design, Effect
from harness.records import Plan, TrialRecord
from harness.report.metrics import by_public_name, number, p_text, public_name, with_interval
from harness.statistics.factorial import factorial_effects
from harness.statistics.false_alarms import false_alarms
from interventions.registry import PLACEBO, STRUCTURAL, load


def guards_of(plan: Plan) -> dict[str, list[str]]:
    """Arm -> names under which its guards fire, for every arm but the reference that has guards."""
    arms: Mapping[str, Sequence[str]] = plan.config.get("arms") or {}
    found = {
        arm: ["placebo" if STRUCTURAL[name] == PLACEBO else name for name in members if name in STRUCTURAL]
        for arm, members in arms.items()
        if arm != plan.reference_arm
    }
    return {arm: names for arm, names in found.items() if names}


def false_alarm_entries(plan: Plan, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The false-alarm figures of every guard of every arm."""
    guards = guards_of(plan)
    named = {name for names in guards.values() for name in names if name != "placebo"}
    targets = {name: load(name).targets for name in sorted(named)}
    return [one._asdict() for one in false_alarms(records, plan.reference_arm, guards, targets)]


def factorial_entry(plan: Plan, frame: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Any] | None:
    """The design, its aliasing and all effects; None for an experiment without a design."""
    if not plan.config.get("factorial"):
        return None
    design = Design.model_validate(plan.config["factorial"])
    effects = []
    for (model, agent), of_system in frame.groupby(["model", "agent"], sort=True):
        for metric in metrics:
            for one in factorial_effects(of_system, design, metric):
                shown = one._asdict() | {"effect": named(one.effect), "aliased": [*map(named, one.aliased)]}
                effects.append({"model": model, "agent": agent, "metric": public_name(metric), **shown})
    return {
        "factors": list(design.factors),
        "runs": design.runs,
        "resolution": design.reached,
        "generators": {factor: named(effect) for factor, effect in (design.generators or {}).items()},
        "effects": effects,
    }


def named(effect: Effect) -> str:
    """An effect as people write it: `loop_guard x verifier_gate`."""
    return " x ".join(effect)


def factorial_table(results: Mapping[str, Any]) -> Table:
    """Effects on the primary metric with what each is aliased with."""
    entry, primary = results["factorial"], results["primary_metric"]
    metric = by_public_name(primary)
    resolution = entry["resolution"] or "full"
    table = Table(
        title=f"{entry['runs']} arms, resolution {resolution}", box=box.SIMPLE_HEAD, title_justify="left"
    )
    for heading in ("model", "effect (aliased with)", f"on - off, {metric.label} [95 %]", "p", "S"):
        table.add_column(heading)
    for row in entry["effects"]:
        if row["metric"] == primary:
            aliased = f" (= {' = '.join(row['aliased'])})" if row["aliased"] else ""
            interval = with_interval(row, metric.digits, sign=True)
            p = p_text(row["p_value"])
            table.add_row(row["model"], row["effect"] + aliased, interval, p, str(row["scenarios"]))
    return table


def false_alarm_table(results: Mapping[str, Any]) -> Table | None:
    """How often each guard fired in runs whose partner in the reference arm succeeded, with and without one of its
    modes; None if none did."""
    rows = [row for row in results["false_alarms"] if row["n"]]
    if not rows or results["factorial"]:
        return None
    table = Table(
        title="Guards in runs that succeed without them (a success can still show the guard's mode)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for heading in ("model", "arm", "guard", "fired", "of these without its modes", "then failed", "n"):
        table.add_column(heading)
    for row in rows:
        share = f"{row['fired']} of {row['n']} ({number(row['rate'])})"
        without = "n/a" if row["without_mode"] is None else str(row["without_mode"])
        table.add_row(
            row["model"], row["arm"], row["guard"], share, without, str(row["harmful"]), str(row["n"])
        )
    return table
