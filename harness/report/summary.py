"""`summary.md`: what one pastes into a pull request.

Owns: the page. Does not own: any number on it (`results.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.report.metrics import by_public_name, interval, number, p_text, with_interval
from harness.report.policy import DENOMINATORS, STOPPED
from harness.report.spending import spending_lines

SECONDARY = ("remediated", "modes_per_trace", "tokens")


def summary(results: Mapping[str, Any]) -> str:
    """The page as Markdown, without clock times and paths."""
    lines = [f"# {_escape(results['experiment'])}", "", f"**{_escape(results['question'])}**", ""]
    if results["simulated"]:
        lines += [f"> **Simulated.** {results['simulated_note']}", ""]
    lines += [_escape(" ".join(results["answer"])), ""]
    lines += ["## Contrasts", "", _contrasts_caption(results), "", *_contrasts(results), ""]
    lines += ["## Arms", "", f"95 % intervals over scenarios; {DENOMINATORS}.", "", *_arms(results), ""]
    if results["sequential"]:
        lines += ["## Sequential stopping", "", *_sequential(results["sequential"]), ""]
    lines += ["## Declared and looked at", "", *_declared(results["declared"]), ""]
    lines += ["## Trials", "", *_denominators(results), ""]
    if results.get("spending"):
        lines += ["## Money", "", *(f"- {_escape(line)}" for line in spending_lines(results["spending"])), ""]
    lines += [f"Plan `{results['plan']['digest']}`."]
    return "\n".join(lines) + "\n"


def _sequential(entry: Mapping[str, Any]) -> list[str]:
    header = [
        "model",
        "contrast",
        "decision",
        "scenarios",
        "e-value",
        "needed",
        "difference",
        "confidence sequence",
    ]
    rows = []
    for one in entry["contrasts"]:
        values = [number(one["e_value"], 1), number(one["needed"], 0), number(one["estimate"], 2, True)]
        limits = interval(one["low"], one["high"], 2, True)
        name = f"{one['arm']} − {one['reference']}"
        rows.append([one["model"], name, one["decision"], one["scenarios"], *values, limits])
    return [f"{entry['says']} {STOPPED}", "", *_table(header, rows)]


def _declared(entry: Mapping[str, Any]) -> list[str]:
    before, after = entry["before"], entry["after"]
    spared = f", {after['spared']} spared by the stopping rule" if after["spared"] else ""
    lines = [
        f"Declared: {before['trials']} trials, primary metric {before['primary_metric']}, "
        f"{len(before['contrasts'])} contrasts per model, {before['family']}, stopping rule "
        f"{before['stopping']['rule']}. Looked at: {after['trials']} trials{spared}, {after['primary_tests']} "
        f"primary and {after['exploratory_tests']} exploratory tests.",
        "",
    ]
    return lines + (
        [f"- Deviation: {text}" for text in entry["deviations"]] or ["No deviation from the plan."]
    )


def counted(counts: Mapping[str, int]) -> list[str]:
    """What the planned trials are the sum of; spared ones only where a rule spared any."""
    return ["scored", "failed", "excluded", "owed", *(["spared"] if counts["spared"] else [])]


def _contrasts_caption(results: Mapping[str, Any]) -> str:
    metric = results["primary_metric"]
    return (
        f"Difference and 95 % interval, paired by scenario and seed. Primary metric: {metric}; its p-values "
        "are Holm-adjusted over all declared contrasts, the other columns are exploratory."
    )


def _contrasts(results: Mapping[str, Any]) -> list[str]:
    primary = [entry for entry in results["contrasts"] if entry["family"] == "primary"]
    shown = [metric for metric in SECONDARY if metric != results["primary_metric"]]
    labels = [by_public_name(name).label for name in (results["primary_metric"], *shown)]
    header = ["model", "contrast", f"Δ {labels[0]}", "p (Holm)", *(f"Δ {label}" for label in labels[1:])]
    rows = []
    for entry in primary:
        others = [difference(find_contrast(results, entry, metric)) for metric in shown]
        name = f"{entry['arm']} − {entry['reference']}"
        rows.append(
            [model_name(entry), name, difference(entry), p_text(entry["p_holm"]), *others, entry["scenarios"]]
        )
    return _table([*header, "scenarios"], rows)


def find_contrast(
    results: Mapping[str, Any], like: Mapping[str, Any], metric: str
) -> Mapping[str, Any] | None:
    """The same contrast of the same system on another metric."""
    key = ("model", "agent", "arm", "reference")
    for entry in results["contrasts"]:
        if entry["metric"] == metric and all(entry[name] == like[name] for name in key):
            return entry  # type: ignore[no-any-return]
    return None


def difference(entry: Mapping[str, Any] | None) -> str:
    """A contrast's estimate and interval for people."""
    if entry is None:
        return "–"
    return with_interval(entry, by_public_name(entry["metric"]).digits, sign=True)


def model_name(entry: Mapping[str, Any]) -> str:
    """A model's name that never hides that it is a test double."""
    return f"{entry['model']} (simulated)" if entry["simulated"] else str(entry["model"])


def _arms(results: Mapping[str, Any]) -> list[str]:
    header = ["model", "arm", "n", "recall", "remediated", "modes/trace", "final", "modes/failed trace"]
    rows = []
    for entry in results["arms"]:
        outcome = [with_interval(entry["recall"]), with_interval(entry["remediated"])]
        modes = [with_interval(entry["modes_per_trace_interval"]), number(entry["modes_per_trace_final"])]
        modes.append(number(entry["modes_per_failed_trace"]))
        spent = [number(entry["tokens"], 0), number(entry["cost_usd"], 4)]
        rows.append([model_name(entry), entry["arm"], entry["n"], *outcome, *modes, *spent])
    return _table([*header, "tokens", "cost (USD)"], rows)


def _denominators(results: Mapping[str, Any]) -> list[str]:
    counts = results["denominators"]
    parts = " + ".join(f"{counts[name]} {name}" for name in counted(counts))
    lines = [f"{counts['planned']} planned = {parts}.", "", *results["policy"].values()]
    lines = [*lines[:2], *(f"- {text}" for text in lines[2:])]
    if results["reasons"]:
        header = ["model", "arm", "status", "reason", "n", "meaning"]
        rows = [
            [row[name] for name in ("model", "arm", "status", "reason", "n", "says")]
            for row in results["reasons"]
        ]
        lines += ["", *_table(header, rows)]
    return lines


def _table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(_escape(cell) for cell in header) + " |", "|" + " --- |" * len(header)]
    return [*lines, *("| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows)]


def _escape(cell: object) -> str:
    """Text that cannot leave its cell or become markup."""
    text = " ".join(str(cell).split())
    text = re.sub(r"([\\|`])", r"\\\1", text)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
