"""Which plots a report has, and what each of their rows says.

Owns: the choice, the words, the links. Does not own: the drawing (`figures.py`) or any number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from harness.report.figures import BETTER, NEUTRAL, WORSE, Point, Row, forest, reach, scatter
from harness.report.index import TrialIndex
from harness.report.metrics import Metric, by_public_name, number, with_interval

ALPHA = 0.05


class Plot(NamedTuple):
    """A drawing and the line above it."""

    caption: str
    svg: Markup
    note: str = ""


def contrast_plots(results: Mapping[str, Any], system: Mapping[str, Any], index: TrialIndex) -> list[Plot]:
    """Forest plots of one model's contrasts: the primary metric, remediation, modes per trace. Each metric has one
    scale for all models."""
    plots = []
    for name in dict.fromkeys((results["primary_metric"], "remediated", "modes_per_trace")):
        metric = by_public_name(name)
        of_metric = [entry for entry in results["contrasts"] if entry["metric"] == name]
        limits = reach([_contrast_row(entry, metric, index) for entry in of_metric])
        rows = [_contrast_row(entry, metric, index) for entry in of_metric if is_of(system, entry)]
        if rows:
            title = f"Contrasts of {_title(system)}: {metric.label}"
            svg = forest(rows, title, _told(rows), axis=_better(metric), limits=limits)
            note = "declared" if name == results["primary_metric"] else "exploratory"
            plots.append(Plot(f"Δ {metric.label}", Markup(svg), note))
    return plots


def arm_plots(results: Mapping[str, Any], system: Mapping[str, Any], index: TrialIndex) -> list[Plot]:
    """Recall, remediation and modes per trace of one model by arm."""
    keys = {"recall": "recall", "remediated": "remediated", "modes_per_trace": "modes_per_trace_interval"}
    plots = []
    for name, key in keys.items():
        metric = by_public_name(name)
        limits = reach([_arm_row(entry, key, metric, index) for entry in results["arms"]], zero=False)
        rows = [_arm_row(entry, key, metric, index) for entry in results["arms"] if is_of(system, entry)]
        title = f"Arms of {_title(system)}: {metric.label}"
        svg = forest(rows, title, _told(rows), zero=False, axis=_better(metric), limits=limits)
        plots.append(Plot(metric.label, Markup(svg)))
    return plots


def cost_plot(results: Mapping[str, Any], system: Mapping[str, Any], index: TrialIndex) -> Plot | None:
    """Recall of each arm against what its trials cost: money where there was any, else tokens."""
    entries = [entry for entry in results["arms"] if is_of(system, entry)]
    key = "cost_usd" if any(entry["cost_usd"] for entry in entries) else "tokens"
    entries = [entry for entry in entries if None not in (entry["recall"]["mean"], entry[key])]
    if not entries:
        return None
    metric = by_public_name(key)
    points = [
        Point(
            entry["arm"],
            entry[key],
            entry["recall"]["mean"],
            entry["recall"]["low"],
            entry["recall"]["high"],
            index.trials(entry, arm=entry["arm"]),
            entry["arm"] == results["reference_arm"],
        )
        for entry in entries
    ]
    said = [f"{p.label}: {number(p.x, metric.digits)} {metric.label}, recall {number(p.y)}" for p in points]
    title = f"Cost and recall of {_title(system)}"
    svg = scatter(points, title, "; ".join(said), f"{metric.label} per trial", "recall")
    return Plot(f"{system['model']}, {system['agent']}", Markup(svg))


def is_of(system: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `results.json` is about a model with an agent."""
    return bool(entry["model"] == system["model"] and entry["agent"] == system["agent"])


def _arm_row(entry: Mapping[str, Any], key: str, metric: Metric, index: TrialIndex) -> Row:
    return Row(
        entry["arm"],
        entry[key]["mean"],
        entry[key]["low"],
        entry[key]["high"],
        with_interval(entry[key], metric.digits),
        index.trials(entry, arm=entry["arm"]),
    )


def _contrast_row(entry: Mapping[str, Any], metric: Metric, index: TrialIndex) -> Row:
    return Row(
        f"{entry['arm']} − {entry['reference']}",
        entry["estimate"],
        entry["low"],
        entry["high"],
        with_interval(entry, metric.digits, sign=True),
        index.trials(entry, pair=(entry["arm"], entry["reference"])),
        _colour(entry),
    )


def _colour(entry: Mapping[str, Any]) -> str:
    """Neutral unless the contrast differs from zero after Holm, which only declared ones can."""
    if entry["p_holm"] is None or entry["p_holm"] >= ALPHA or entry["better"] == "neither":
        return NEUTRAL
    return BETTER if (entry["estimate"] > 0) == (entry["better"] == "higher") else WORSE


def _title(system: Mapping[str, Any]) -> str:
    return f"{system['model']}{' (simulated)' if system['simulated'] else ''}, {system['agent']}"


def _told(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row.label}: {row.text}" for row in rows) + ". Intervals are 95 %."


def _better(metric: Metric) -> str:
    return {"higher": "higher is better →", "lower": "← lower is better", "neither": ""}[metric.better]
