"""The answer to the experiment's question in two sentences, computed from the results.

Owns: the sentences. Does not own: any number in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.report.metrics import by_public_name, with_interval

ALPHA = 0.05


def answer(results: Mapping[str, Any]) -> list[str]:
    """Two sentences: what the first declared contrast shows per model, and what survives correction.

    A sentence before them says when trials are still owed."""
    sentences = []
    counts = results["denominators"]
    if counts["owed"]:
        sentences.append(f"Preliminary: {counts['owed']} of {counts['planned']} trials are still owed.")
    primary = [entry for entry in results["contrasts"] if entry["family"] == "primary"]
    tested = [entry for entry in primary if entry["estimate"] is not None]
    if not tested:
        return [*sentences, "No declared contrast has a pair of trials yet, so there is no answer."]
    return [*sentences, _headline(tested), _after_correction(tested, results["simulated"])]


def _headline(tested: Sequence[Mapping[str, Any]]) -> str:
    first = tested[0]
    metric = by_public_name(first["metric"])
    same = [e for e in tested if (e["arm"], e["reference"]) == (first["arm"], first["reference"])]
    several_agents = len({entry["agent"] for entry in same}) > 1
    parts = []
    for entry in same:
        system = f"{entry['model']}/{entry['agent']}" if several_agents else entry["model"]
        simulated = " (simulated)" if entry["simulated"] else ""
        parts.append(f"{with_interval(entry, metric.digits, sign=True)} on {system}{simulated}")
    least, most = min(e["scenarios"] for e in same), max(e["scenarios"] for e in same)
    count = f"{least}" if least == most else f"{least} to {most}"
    noun = "scenario" if most == 1 else "scenarios"
    return (
        f"Against {first['reference']}, {first['arm']} changed {metric.label} by {_listed(parts)} "
        f"(95 % intervals, {count} paired {noun})."
    )


def _after_correction(tested: Sequence[Mapping[str, Any]], simulated: bool) -> str:
    clear = [entry for entry in tested if entry["p_holm"] is not None and entry["p_holm"] < ALPHA]
    kind = "declared contrast" if len(tested) == 1 else "declared contrasts"
    where = ", all numbers from simulated models" if simulated and all(e["simulated"] for e in tested) else ""
    if not clear:
        return (
            f"After Holm correction none of the {len(tested)} {kind} can be told from no difference at "
            f"p < {ALPHA}{where}."
        )
    named = [f"{e['arm']} − {e['reference']} on {e['model']} ({_direction(e)})" for e in clear]
    return (
        f"After Holm correction {len(clear)} of the {len(tested)} {kind} differ from zero at p < {ALPHA}: "
        f"{_listed(named)}{where}."
    )


def _direction(entry: Mapping[str, Any]) -> str:
    risen = entry["estimate"] > 0
    if entry["better"] == "neither":
        return "higher" if risen else "lower"
    return "better" if risen == (entry["better"] == "higher") else "worse"


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
