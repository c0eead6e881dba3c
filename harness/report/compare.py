"""Comparing runs: the same arm of the same system in two run directories, paired where it can be.

Owns: which cells are matched, how they are paired, and every reason for which they are not. Does not own: the
contrast itself (`harness/statistics`). The first run is the reference of all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from harness.errors import ConfigurationError, Problem
from harness.records import Plan, TrialRecord
from harness.report.arms import Cell, cells_of
from harness.report.metrics import METRICS, number, p_text, primary_column, public_name, with_interval
from harness.report.policy import SIMULATED
from harness.statistics import benjamini_hochberg, scenario_contrast, trials_frame
from harness.store import RunDirectory, flatten

COLUMNS = ("recall", "remediated", "modes", "tokens")
SAME = ("environment", "verdict")
"""Parts of the configuration that decide what an outcome means: where they differ, outcomes do not compare."""


class Run(NamedTuple):
    """One run as the comparison needs it."""

    name: str
    plan: Plan
    records: list[TrialRecord]


def read_run(path: Path) -> Run:
    """Raises ConfigurationError where no run is stored or none of its trials has finished."""
    stored = RunDirectory(path)
    plan, records = stored.read_plan(), stored.records()
    if not records:
        raise ConfigurationError(Problem(str(path), "no trial of this run has finished"))
    return Run(str(path), plan, records)


def compare(paths: Sequence[Path]) -> dict[str, Any]:
    """Every run against the first one, as one plain dictionary."""
    if len(paths) < 2:
        raise ConfigurationError(Problem("compare", "one run was named", "name at least two run directories"))
    first, *others = (read_run(path) for path in paths)
    comparisons = [compare_two(first, other) for other in others]
    entries = [entry for one in comparisons for entry in one["entries"]]
    for entry, p in zip(entries, benjamini_hochberg([e["p_value"] for e in entries]), strict=True):
        entry["p_bh"] = p
    simulated = any(record.simulated for run in (first, *others) for record in run.records)
    note = SIMULATED if simulated else None
    return {
        "reference": first.name,
        "simulated": simulated,
        "simulated_note": note,
        "comparisons": comparisons,
    }


def compare_two(reference: Run, run: Run) -> dict[str, Any]:
    """What differs between two runs, what was compared, and what was refused with its reason."""
    differs = differences(reference.plan, run.plan)
    result: dict[str, Any] = {"run": run.name, "differs": differs, "refused": [], "entries": []}
    reason = incomparable(reference.plan, run.plan)
    if reason:
        result["refused"].append({"what": "everything", "reason": reason})
        return result
    columns = [column for column in COLUMNS if column != "modes" or same_taxonomy(reference.plan, run.plan)]
    if "modes" not in columns:
        reason = "the runs were labelled with different taxonomies"
        result["refused"].append({"what": public_name("modes"), "reason": reason})
    frames = trials_frame(reference.records), trials_frame(run.records)
    pairs, unmatched = matched(reference.plan, run.plan)
    result["refused"] += unmatched
    for own, other in pairs:
        before, after = (of_cell(frame, cell) for frame, cell in zip(frames, (own, other), strict=True))
        for column in columns:
            entry = contrast(before, after, column)
            names = {
                "model": other.model,
                "reference_model": own.model,
                "agent": other.agent,
                "arm": other.arm,
            }
            if entry["estimate"] is None:
                what = f"{other.model}, {other.arm}: {public_name(column)}"
                result["refused"].append({"what": what, "reason": "no scenario has a value in both runs"})
            else:
                result["entries"].append({**names, "metric": public_name(column), **entry})
    return result


def differences(reference: Plan, run: Plan) -> list[str]:
    """Every configuration key and content hash in which the runs differ."""
    old = flatten({"config": reference.config, "hashes": reference.hashes})
    new = flatten({"config": run.config, "hashes": run.hashes})
    named = {
        key.removeprefix("config."): (old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys())
    }
    return [
        f"{key}: {before or 'absent'} -> {after or 'absent'}"
        for key, (before, after) in named.items()
        if before != after
    ]


def incomparable(reference: Plan, run: Plan) -> str:
    """Why no outcome of the two runs compares; empty when they do."""
    for part in SAME:
        if reference.config.get(part) != run.config.get(part):
            return f"{part} differs, so an outcome does not mean the same"
    ours, theirs = ({spec.scenario for spec in plan.trials} for plan in (reference, run))
    if not ours & theirs:
        return "they share no scenario"
    if ours == theirs and reference.hashes.get("scenarios") != run.hashes.get("scenarios"):
        return "the scenarios have the same names but another content"
    return ""


def same_taxonomy(reference: Plan, run: Plan) -> bool:
    """Modes were defined alike."""
    return reference.hashes.get("taxonomy") == run.hashes.get("taxonomy")


def matched(reference: Plan, run: Plan) -> tuple[list[tuple[Cell, Cell]], list[dict[str, str]]]:
    """Cells of the same model, agent and arm. Two runs of one different model each are matched by agent and arm."""
    ours, theirs = cells_of(reference), cells_of(run)
    models = {cell.model for cell in ours}, {cell.model for cell in theirs}
    across = len(models[0]) == len(models[1]) == 1
    pairs, refused = [], []
    for other in theirs:
        found = [
            cell
            for cell in ours
            if (cell.agent, cell.arm) == (other.agent, other.arm) and (across or cell.model == other.model)
        ]
        if found:
            pairs.append((found[0], other))
        else:
            what = f"{other.model}, {other.agent}, {other.arm}"
            refused.append({"what": what, "reason": "the reference run has no such model, agent and arm"})
    return pairs, refused


def of_cell(frame: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The counted trials of a cell."""
    chosen = (frame["model"] == cell.model) & (frame["agent"] == cell.agent) & (frame["arm"] == cell.arm)
    return frame.loc[chosen & ~frame["excluded"].astype(bool)]


def contrast(before: pd.DataFrame, after: pd.DataFrame, column: str) -> dict[str, Any]:
    """The second run minus the first: paired by trial where scenario, repeat and seed agree for at least one trial
    of every shared scenario, else by scenario means."""
    by_seed = seeds_agree(before, after)
    if not by_seed:
        before, after = means(before, column), means(after, column)
    both = pd.concat([before.assign(arm="before"), after.assign(arm="after")])
    found = scenario_contrast(both, "after", "before", column, METRICS[column].bounds)
    paired = "scenario, repeat and seed" if by_seed else "scenario (other seeds)"
    return {**found._asdict(), "paired_by": paired, "better": METRICS[column].better}


def seeds_agree(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    """Every scenario that both have has at least one trial of the same repeat and seed in both."""
    keys = [
        set(zip(frame["scenario"].tolist(), frame["repeat"].tolist(), frame["seed"].tolist(), strict=True))
        for frame in (before, after)
    ]
    shared = set(before["scenario"]) & set(after["scenario"])
    return {scenario for scenario, _, _ in keys[0] & keys[1]} == shared


def means(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row per scenario with the mean of a column."""
    found = frame.groupby("scenario")[column].mean().reset_index()
    found[["repeat", "seed", "excluded"]] = 0, 0, False
    return found


def print_comparison(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what was compared, what differs and what was refused."""
    console = console or Console(width=110, highlight=False)
    if results["simulated"]:
        console.print(f"SIMULATED. {results['simulated_note']}")
    for one in results["comparisons"]:
        console.print(f"{one['run']} − {results['reference']}")
        shown = "; ".join(one["differs"][:12]) or "nothing"
        more = f"; and {len(one['differs']) - 12} more" if len(one["differs"]) > 12 else ""
        console.print(f"Differs in: {shown}{more}.", markup=False)
        if one["entries"]:
            console.print(_table(one["entries"]))
        for refusal in one["refused"]:
            console.print(f"Refused: {refusal['what']}: {refusal['reason']}.", markup=False)


def _table(entries: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("model, arm", "metric", "difference [95 %]", "p", "p (BH)", "S", "paired by"):
        table.add_column(heading, justify="right" if heading in ("p", "p (BH)", "S") else "left")
    for entry in entries:
        model = entry["model"]
        if model != entry["reference_model"]:
            model = f"{model} − {entry['reference_model']}"
        metric = METRICS[primary_column(entry["metric"])]
        difference = with_interval(entry, metric.digits, sign=True)
        tested = p_text(entry["p_value"]), p_text(entry["p_bh"]), number(entry["scenarios"], 0)
        table.add_row(f"{model}, {entry['arm']}", metric.label, difference, *tested, entry["paired_by"])
    table.caption = "Exploratory: no plan declared these. p (BH) is over all differences shown."
    table.caption_justify = "left"
    return table
