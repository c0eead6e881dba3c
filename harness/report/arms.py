"""What one arm of one model achieved: an entry of `arms` in `results.json`.

Owns: the entry's content. Does not own: the statistics behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from harness.records import Plan, TrialRecord, TrialSpec
from harness.report.metrics import METRICS
from harness.statistics import Estimate, clustered_mean, clustered_share, reliability
from harness.statistics.denominators import mean_bounds
from harness.statistics.frames import MODE, mode_slugs


class Cell(NamedTuple):
    """One model with one agent under one arm."""

    model: str
    agent: str
    arm: str

    def holds(self, spec: TrialSpec) -> bool:
        """Whether a trial belongs to it."""
        return (spec.model, spec.agent, spec.arm) == self


def cells_of(plan: Plan) -> list[Cell]:
    """The cells in the plan's order: models and agents as they come, the reference arm first."""
    arms = list(dict.fromkeys(spec.arm for spec in plan.trials))
    arms.sort(key=lambda arm: arm != plan.reference_arm)
    systems = dict.fromkeys((spec.model, spec.agent) for spec in plan.trials)
    planned = {(spec.model, spec.agent, spec.arm) for spec in plan.trials}
    cells = [Cell(model, agent, arm) for model, agent in systems for arm in arms]
    return [cell for cell in cells if cell in planned]


def arm_entry(cell: Cell, plan: Plan, frame: pd.DataFrame, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """The numbers of a cell. `n` counts the trials that the means rest on: scored and failed."""
    of_cell = frame.loc[
        (frame["model"] == cell.model) & (frame["agent"] == cell.agent) & (frame["arm"] == cell.arm)
    ]
    counted = of_cell.loc[~of_cell["excluded"].astype(bool)]
    below_one = counted.loc[counted["recall"] < 1.0]
    entry: dict[str, Any] = {
        **cell._asdict(),
        "n": len(counted),
        "scenarios": int(counted["scenario"].nunique()),
        "simulated": any(record.simulated for record in records if cell.holds(record.spec)),
        "recall": _estimate(_mean(counted, "recall")),
        "remediated": _estimate(_mean(counted, "remediated")),
        **{
            name: _mean(counted, name).mean
            for name in ("precision", "f1", "recall_strict", "mutation_recall")
        },
        "modes_per_trace": _mean(counted, "modes").mean,
        "modes_per_trace_interval": _estimate(_mean(counted, "modes")),
        "modes_per_trace_final": _mean(counted, "modes_final").mean,
        "modes_per_failed_trace": _plain_mean(below_one["modes"]),
        "failed_traces": int(below_one["modes"].notna().sum()),
        "modes_per_10_steps": _mean(counted, "modes_per_10_steps").mean,
        **_modes(counted),
        "planted_modes_per_failed_trace": _planted(below_one),
        "tool_calls": _mean(counted, "tool_calls").mean,
        "denied_calls": _mean(counted, "denied_calls").mean,
        "turns": _mean(counted, "turns").mean,
        "tokens": _mean(counted, "tokens").mean,
        "cost_usd": _mean(counted, "cost_usd").mean,
        "agent_seconds": _mean(counted, "agent_seconds").mean,
        "noise_floor": _noise(counted),
        "reliability": _reliability(counted, _repeats(plan)),
        "guard_firings": _guard_firings([r for r in records if cell.holds(r.spec)]),
    }
    if of_cell["excluded"].any():
        entry["exclusion_bounds"] = {name: mean_bounds(of_cell, name) for name in ("recall", "remediated")}
    return entry


def _mean(frame: pd.DataFrame, column: str) -> Estimate:
    bounds = METRICS[column].bounds if column in METRICS else None
    return clustered_mean(frame[column].to_numpy(), frame["scenario"].tolist(), bounds)


def _estimate(estimate: Estimate) -> dict[str, Any]:
    shown = ("mean", "low", "high", "n", "scenarios")
    return {name: getattr(estimate, name) for name in shown}


def _plain_mean(values: pd.Series) -> float | None:
    return float(values.mean()) if values.notna().any() else None


def _modes(counted: pd.DataFrame) -> dict[str, Any]:
    """Share of traces in which each mode is present, its interval, and the traces where it was decided."""
    shares: dict[str, Any] = {"modes": {}, "modes_interval": {}, "modes_n": {}}
    scenarios = counted["scenario"].tolist()
    for slug in mode_slugs(counted):
        share = clustered_share(counted[MODE + slug].to_numpy(), scenarios)
        if share.n:
            shares["modes"][slug] = share.mean
            shares["modes_interval"][slug] = {"low": share.low, "high": share.high}
            shares["modes_n"][slug] = share.n
    return shares


def _planted(below_one: pd.DataFrame) -> float | None:
    known = below_one.loc[below_one["simulated"].astype(bool)]
    return _plain_mean(known["planted_modes"])


def _noise(counted: pd.DataFrame) -> dict[str, float | None]:
    """Standard deviation between repeats of one scenario: what a single run's number is worth."""
    return {
        "recall": _mean(counted, "recall").sd_within,
        "remediated": _mean(counted, "remediated").sd_within,
        "modes_per_trace": _mean(counted, "modes").sd_within,
    }


def _repeats(plan: Plan) -> int:
    """The fewest repeats that the plan gives any scenario: one k for all arms, or they could not be compared."""
    runs = Counter((spec.model, spec.agent, spec.arm, spec.scenario) for spec in plan.trials)
    return min(runs.values())


def _reliability(counted: pd.DataFrame, k: int) -> dict[str, Any]:
    """pass@k and pass^k of full recall over the scenarios that have k runs; exclusions can take some away."""
    success = [bool(recall >= 1.0) for recall in counted["recall"]]
    return {"success": "recall = 1", **reliability(success, counted["scenario"].tolist(), k)._asdict()}


def _guard_firings(records: Sequence[TrialRecord]) -> dict[str, int]:
    """How often each guard did something else than allow, over all trials of the cell."""
    total: dict[str, int] = {}
    for record in records:
        for guard, count in record.guard_firings.items():
            total[guard] = total.get(guard, 0) + count
    return dict(sorted(total.items()))
