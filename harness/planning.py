"""Dry run of an experiment: what it will cost and what it can find. Spends nothing and needs no key.

Owns: the estimate. Does not own: how it is shown (`report/planning.py`), formulas (`statistics/power.py`), the plan.
Costs per trial come, per model and arm, from a pilot's records; else from the configuration (`planning`, with the
model's prices); the answer says which.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.config import ExperimentConfig
from harness.experiment import build_plan
from harness.records import Plan, TrialRecord, TrialSpec
from harness.runner import create_models
from harness.statistics.power import Spread, detectable, repeats_needed, scenarios_needed
from harness.store import RunDirectory

RESOURCES = ("model_calls", "input_tokens", "output_tokens", "usd", "wall_seconds")
SIMULATED_WALL_S = (0.05, 0.5)
"""Wall seconds of a trial of a simulated model: it answers at once, on a virtual clock."""
LEAST_PILOT = 2
"""Trials of a cell from which a pilot's spread is used; with fewer, the configured guess."""


class Range(NamedTuple):
    """Least and greatest; None: unknown (a price that nobody gave)."""

    low: float | None
    high: float | None

    def times(self, factor: float) -> Range:
        """The range of `factor` as many."""
        return Range(*(None if limit is None else limit * factor for limit in self))


class CellCost(NamedTuple):
    """What one trial of one model and arm takes, and how many there are."""

    model: str
    agent: str
    arm: str
    trials: int
    per_trial: Mapping[str, Range]
    basis: str
    """`pilot (n trials)`, `configuration` or `simulated`."""


def estimate(config: ExperimentConfig) -> dict[str, Any]:
    """Everything that `plan` says, as one plain dictionary. Raises ConfigurationError for a wrong configuration."""
    plan = build_plan(config)
    pilot = pilot_records(config)
    cells = cell_costs(config, plan, pilot)
    totals = {name: total(cells, name) for name in RESOURCES}
    trials = sum(cell.trials for cell in cells)
    slots = concurrency(config, trials)
    scenarios = len({spec.scenario for spec in plan.trials})
    return {
        "experiment": plan.experiment,
        "question": plan.question,
        "plan": plan.digest,
        "models": list(config.models),
        "arms": list(config.arms),
        "scenarios": scenarios,
        "repeats": config.repeats,
        "trials": trials,
        "search": config.closed_loop is not None,
        "cells": [cell._asdict() | {"per_trial": as_lists(cell.per_trial)} for cell in cells],
        "totals": as_lists(totals),
        "concurrency": slots,
        "wall_seconds": list(totals["wall_seconds"].times(1 / slots)),
        "unpriced": sorted({cell.model for cell in cells if cell.per_trial["usd"].high is None}),
        "stopping": config.stopping.rule,
        "metrics": [metric_power(config, name, pilot, scenarios) for name in metrics(config)],
        "pilot": config.pilot,
    }


def pilot_records(config: ExperimentConfig) -> list[TrialRecord]:
    """Counted records of the pilot run, if one was named."""
    if config.pilot is None:
        return []
    run = RunDirectory(Path(config.pilot))
    run.read_plan()
    return [record for record in run.records() if record.status != "excluded"]


def as_lists(ranges: Mapping[str, Range]) -> dict[str, list[float | None]]:
    """Ranges as JSON has them."""
    return {name: list(value) for name, value in ranges.items()}


def concurrency(config: ExperimentConfig, trials: int) -> int:
    """Trials at a time: workers x in_flight (one worker for `local`, one per CPU unless set for `ray`)."""
    import os

    workers = 1 if config.executor.kind == "local" else config.executor.workers or os.cpu_count() or 1
    return max(1, min(workers * config.executor.in_flight, trials))


# --- cost -------------------------------------------------------------------------------------------------


def cell_costs(config: ExperimentConfig, plan: Plan, pilot: Sequence[TrialRecord]) -> list[CellCost]:
    """One entry per model, agent and arm, in the plan's order."""
    models = create_models(config)
    costs = []
    for (model, agent, arm), trials in trial_counts(config, plan).items():
        seen = [r for r in pilot if cell_of(r.spec) == (model, agent, arm)]
        seen = seen or [r for r in pilot if (r.spec.model, r.spec.agent) == (model, agent)]
        if len(seen) >= LEAST_PILOT:
            costs.append(CellCost(model, agent, arm, trials, from_pilot(seen), f"pilot ({len(seen)} trials)"))
        else:
            simulated = model in models and models[model].simulated
            guess = guessed(config, config.models.get(model, {}), simulated)
            basis = "simulated" if simulated else "configuration"
            costs.append(CellCost(model, agent, arm, trials, guess, basis))
    return costs


def trial_counts(config: ExperimentConfig, plan: Plan) -> dict[tuple[str, str, str], int]:
    """Planned trials per model, agent and arm; of a search, what it may take at most."""
    counts = Counter(cell_of(spec) for spec in plan.trials)
    if config.closed_loop is not None:
        return dict.fromkeys(counts, config.closed_loop.trials)
    return dict(counts)


def cell_of(spec: TrialSpec) -> tuple[str, str, str]:
    """Model, agent and arm of a trial."""
    return spec.model, spec.agent, spec.arm


def from_pilot(records: Sequence[TrialRecord]) -> dict[str, Range]:
    """Mean per trial with a 95 % interval for it, mean +- 1.96 sd / sqrt(n)."""
    values = {
        "model_calls": [float(r.usage.calls) for r in records],
        "input_tokens": [float(r.usage.input_tokens) for r in records],
        "output_tokens": [float(r.usage.output_tokens) for r in records],
        "usd": [r.usage.cost_usd for r in records],
        "wall_seconds": [r.wall_seconds for r in records],
    }
    return {name: mean_range(found) for name, found in values.items()}


def mean_range(values: Sequence[float]) -> Range:
    """A mean's 95 % interval, not below 0."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
    reach = 1.96 * math.sqrt(variance / len(values))
    return Range(max(0.0, mean - reach), mean + reach)


def guessed(config: ExperimentConfig, fields: Mapping[str, Any], simulated: bool) -> dict[str, Range]:
    """The configured guess, capped by the trial's budget."""
    planning, budget = config.planning, config.budget
    turns = Range(*(min(value, float(budget.turns)) for value in planning.turns))
    tokens = Range(*(min(value, float(budget.tokens or math.inf)) for value in planning.input_tokens))
    output = Range(*planning.output_tokens)
    if planning.wall_seconds is not None:
        wall = Range(*planning.wall_seconds)
    elif simulated:
        wall = Range(*SIMULATED_WALL_S)
    else:
        wall = Range(*(a * b for a, b in zip(turns, planning.call_seconds, strict=True)))  # type: ignore[operator]
    usd = Range(0.0, 0.0) if simulated else money(fields.get("prices") or {}, tokens, output)
    return {
        "model_calls": turns,
        "input_tokens": tokens,
        "output_tokens": output,
        "usd": usd,
        "wall_seconds": wall,
    }


def money(prices: Mapping[str, Any], tokens: Range, output: Range) -> Range:
    """Tokens at the model's configured prices. Unknown where a price is missing; caching could only lower it."""
    if prices.get("input") is None or prices.get("output") is None:
        return Range(None, None)
    limits = zip(tokens, output, strict=True)
    return Range(*((prices["input"] * (i or 0) + prices["output"] * (o or 0)) / 1e6 for i, o in limits))


def total(cells: Sequence[CellCost], name: str) -> Range:
    """Sum over all trials; None where any part is unknown."""
    parts = [cell.per_trial[name].times(cell.trials) for cell in cells]
    limits = [[part[end] for part in parts] for end in (0, 1)]
    return Range(*(None if any(v is None for v in side) else sum(v or 0.0 for v in side) for side in limits))


# --- power -------------------------------------------------------------------------------------------------


def metrics(config: ExperimentConfig) -> list[str]:
    """The primary metric, then the other two that could have been."""
    return list(dict.fromkeys((config.primary_metric, "recall", "remediated", "modes_per_trace")))


def metric_power(
    config: ExperimentConfig, metric: str, pilot: Sequence[TrialRecord], scenarios: int
) -> dict[str, Any]:
    """Detectable difference of one metric, and what a wanted effect needs (primary metric only)."""
    tests = (
        max(1, len(config.declared_contrasts) * len(config.models)) if metric == config.primary_metric else 1
    )
    spread, basis = spread_of(config, metric, pilot)
    power, alpha = config.planning.power, 0.05 / tests
    answer: dict[str, Any] = {
        "metric": metric,
        "primary": metric == config.primary_metric,
        "sd_run": spread.run,
        "sd_effect": spread.effect,
        "basis": basis,
        "power": power,
        "tests": tests,
        "detectable": finite(detectable(spread, scenarios, config.repeats, 0.05, power)),
        "detectable_corrected": finite(detectable(spread, scenarios, config.repeats, alpha, power)),
    }
    wanted = config.planning.effect
    if wanted is not None and answer["primary"]:
        answer["wanted"] = wanted
        answer["repeats_needed"] = repeats_needed(wanted, spread, scenarios, alpha, power)
        answer["scenarios_needed"] = scenarios_needed(wanted, spread, config.repeats, alpha, power)
    return answer


def finite(value: float) -> float | None:
    """None where nothing can be detected."""
    return value if math.isfinite(value) else None


def spread_of(config: ExperimentConfig, metric: str, pilot: Sequence[TrialRecord]) -> tuple[Spread, str]:
    """Standard deviations of a metric from the pilot's repeats, else the configured guess.

    Modes are counts, not shares: their guess is scaled by four, about what modes per trace spread."""
    found = pilot_spread(metric, pilot, config.reference_arm) if pilot else None
    if found is not None:
        return found, "pilot"
    scale = 4.0 if metric == "modes_per_trace" else 1.0
    return Spread(config.planning.sd_effect * scale, config.planning.sd_run * scale), "configuration"


def pilot_spread(metric: str, pilot: Sequence[TrialRecord], reference: str) -> Spread | None:
    """Pooled over the pilot's cells: the run's SD within scenarios, and the effect's SD between them.

    omega^2 = Var(d) - 2 s2_run / K, not below 0. None without repeats; the effect's part is 0 without two arms."""
    from harness.report.metrics import primary_column
    from harness.statistics import paired_differences, trials_frame
    from harness.statistics.components import variance_components

    frame, column = trials_frame(pilot), primary_column(metric)
    systems = [rows for _, rows in frame.groupby(["model", "agent"])]
    runs, effects = [], []
    for rows in systems:
        for arm, of_arm in rows.groupby("arm"):
            found = variance_components(of_arm[column].to_numpy(), of_arm["scenario"].tolist())
            if found.run is None:
                continue
            runs.append(found.run)
            if arm == reference:
                continue
            differences, pairs = paired_differences(rows, str(arm), reference, column)
            d = list(differences.values())
            if len(d) > 2:
                mean = sum(d) / len(d)
                spread = sum((x - mean) ** 2 for x in d) / (len(d) - 1)
                effects.append(max(0.0, spread - 2 * found.run * len(d) / pairs))
    if not runs:
        return None
    effect = math.sqrt(sum(effects) / len(effects)) if effects else 0.0
    return Spread(effect, math.sqrt(sum(runs) / len(runs)))
