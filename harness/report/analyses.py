"""What a report says beyond the declared contrasts: `analyses` in `results.json`.

Owns: which analyses run and their entries. Does not own: the statistics (`harness/statistics`) or the contrasts
themselves (`results.py`). All of these are exploratory, except the pooled contrasts that the plan declares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.records import Plan
from harness.report.arms import Cell, cells_of
from harness.report.metrics import METRICS, UNIT, public_name
from harness.report.targets import targeted_modes
from harness.statistics.adjustment import adjusted_contrast
from harness.statistics.balance import exclusion_balance
from harness.statistics.components import variance_components
from harness.statistics.contrasts import paired_differences
from harness.statistics.counts import rate_ratio
from harness.statistics.economics import cost_per_success, time_to_conclusion
from harness.statistics.frames import mode_slugs
from harness.statistics.interaction import arm_by_model, pooled_contrast
from harness.statistics.lethality import lethality
from harness.statistics.matched import mcnemar_exact, tost

SUCCESS = 1.0
"""Recall from which a run counts as a success: every root cause was named."""
HARMED = ("recall", "remediated")


def analyses(plan: Plan, frame: pd.DataFrame, primary: str) -> dict[str, Any]:
    """Every analysis, by name; each entry names the model, agent, arm or contrast that it is about."""
    counted = frame.loc[~frame["excluded"].astype(bool)]
    cells = [(cell, _of_cell(counted, cell)) for cell in cells_of(plan)]
    systems = list(dict.fromkeys((spec.model, spec.agent) for spec in plan.trials))
    return {
        "variance_components": [_components(cell, rows, primary) for cell, rows in cells],
        "economics": [_economics(cell, rows, horizon(plan, counted)) for cell, rows in cells],
        "targeted_modes": targeted_modes(plan, counted),
        "length_adjusted_modes": _each(plan, systems, counted, _rate_ratio),
        "no_harm": _each(plan, systems, counted, lambda rows, *pair: _no_harm(rows, plan, *pair)),
        "single_runs": _each(plan, systems, counted, _mcnemar) if _repeats(plan) == 1 else [],
        "adjusted": [
            _adjusted(counted, system, pair, primary) for system in systems for pair in plan.contrasts
        ],
        "interaction": [_interaction(counted, systems, pair, primary) for pair in plan.contrasts],
        "pooled": [_pooled(counted, name, pairs, primary) for name, pairs in plan.declaration.pooled.items()],
        "lethality": [entry for system in systems for entry in _lethality(counted, system)],
        "corrected_modes": [],
        "exclusion_balance": _balance(frame)._asdict(),
    }


def horizon(plan: Plan, counted: pd.DataFrame) -> float:
    """Seconds at which a time to conclusion is cut: the trials' time budget, else the longest run."""
    limit = (plan.config.get("budget") or {}).get("seconds")
    longest = counted["agent_seconds"].max() if len(counted) else math.nan
    return float(limit) if limit else (float(longest) if longest > 0 else 1.0)


def _repeats(plan: Plan) -> int:
    return 1 + max((spec.repeat for spec in plan.trials), default=0)


def _of_cell(counted: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    chosen = (
        (counted["model"] == cell.model) & (counted["agent"] == cell.agent) & (counted["arm"] == cell.arm)
    )
    return counted.loc[chosen]


Entry = Callable[[pd.DataFrame, str, str], dict[str, Any] | None]


def _each(
    plan: Plan, systems: Sequence[tuple[str, str]], counted: pd.DataFrame, entry: Entry
) -> list[dict[str, Any]]:
    """One entry per system and declared contrast."""
    found = []
    for model, agent in systems:
        rows = counted.loc[(counted["model"] == model) & (counted["agent"] == agent)]
        for arm, reference in plan.contrasts:
            values = entry(rows, arm, reference)
            if values is not None:
                found.append({"model": model, "agent": agent, "arm": arm, "reference": reference} | values)
    return found


def _components(cell: Cell, rows: pd.DataFrame, primary: str) -> dict[str, Any]:
    found = variance_components(rows[primary].to_numpy(), rows["scenario"].tolist())
    return {**cell._asdict(), "metric": public_name(primary), **found._asdict()}


def _economics(cell: Cell, rows: pd.DataFrame, cut: float) -> dict[str, Any]:
    success = (rows["recall"] >= SUCCESS).tolist()
    scenarios = rows["scenario"].tolist()
    return {
        **cell._asdict(),
        "usd_per_success": cost_per_success(rows["cost_usd"].to_numpy(), success, scenarios)._asdict(),
        "tokens_per_success": cost_per_success(rows["tokens"].to_numpy(), success, scenarios)._asdict(),
        "seconds_to_correct": time_to_conclusion(
            rows["agent_seconds"].to_numpy(), success, scenarios, cut
        )._asdict(),
        "horizon_s": cut,
    }


def _rate_ratio(rows: pd.DataFrame, arm: str, reference: str) -> dict[str, Any] | None:
    both = rows.loc[rows["arm"].isin([arm, reference])]
    in_arm = (both["arm"] == arm).tolist()
    found = rate_ratio(
        both["modes"].to_numpy(), both["tool_calls"].to_numpy(), in_arm, both["scenario"].tolist()
    )
    return found._asdict()


def _no_harm(rows: pd.DataFrame, plan: Plan, arm: str, reference: str) -> dict[str, Any] | None:
    margin = plan.declaration.no_harm_margin
    tests: dict[str, Any] = {"margin": margin}
    for metric in HARMED:
        differences, _ = paired_differences(rows, arm, reference, metric)
        tests[metric] = tost(list(differences.values()), margin, METRICS[metric].better)._asdict()
    return tests


def _mcnemar(rows: pd.DataFrame, arm: str, reference: str) -> dict[str, Any] | None:
    won: list[dict[tuple[str, int], bool]] = []
    for name in (arm, reference):
        of_arm = rows.loc[rows["arm"] == name]
        keys = zip(of_arm["scenario"].tolist(), of_arm["seed"].tolist(), strict=True)
        won.append(dict(zip(keys, (of_arm["recall"] >= SUCCESS).tolist(), strict=True)))
    shared = sorted(won[0].keys() & won[1].keys())
    return mcnemar_exact([won[0][key] for key in shared], [won[1][key] for key in shared])._asdict()


def _adjusted(
    counted: pd.DataFrame, system: tuple[str, str], pair: tuple[str, str], primary: str
) -> dict[str, Any]:
    names = {"model": system[0], "agent": system[1], "arm": pair[0], "reference": pair[1]}
    return names | adjusted_contrast(counted, *system, *pair, primary)._asdict()


def _interaction(
    counted: pd.DataFrame, systems: Sequence[tuple[str, str]], pair: tuple[str, str], primary: str
) -> dict[str, Any]:
    differences: dict[str, Mapping[str, float]] = {}
    for model, agent in systems:
        rows = counted.loc[(counted["model"] == model) & (counted["agent"] == agent)]
        found, _ = paired_differences(rows, *pair, primary)
        if found:
            differences[f"{model}, {agent}"] = found
    return {"arm": pair[0], "reference": pair[1], **arm_by_model(differences)._asdict()}


def _pooled(
    counted: pd.DataFrame, name: str, pairs: Sequence[tuple[str, str]], primary: str
) -> dict[str, Any]:
    found = pooled_contrast(counted, pairs, primary)
    entry = {"name": name, "pairs": list(pairs), "metric": public_name(primary)}
    return entry | found._asdict() | {"bounded": METRICS[primary].bounds == UNIT}


def _lethality(counted: pd.DataFrame, system: tuple[str, str]) -> list[dict[str, Any]]:
    rows = counted.loc[(counted["model"] == system[0]) & (counted["agent"] == system[1])]
    failed = (rows["recall"] < SUCCESS).tolist()
    strata = list(zip(rows["scenario"].tolist(), rows["arm"].tolist(), strict=True))
    entries = []
    for slug in mode_slugs(rows):
        present = rows[f"mode_{slug}"].to_numpy()
        if np.nansum(present) > 0:
            found = lethality(failed, present, strata)
            entries.append({"model": system[0], "agent": system[1], "slug": slug, **found._asdict()})
    return sorted(entries, key=lambda entry: (-(entry["burden"] or 0.0), entry["slug"]))


def _balance(frame: pd.DataFrame) -> Any:
    blocks = zip(*(frame[name].tolist() for name in ("model", "agent", "scenario", "repeat")), strict=True)
    return exclusion_balance(frame["excluded"].astype(bool).tolist(), frame["arm"].tolist(), list(blocks))
