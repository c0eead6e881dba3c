"""Scores of stored outputs: one scorecard per trial that is owed, and their averages with intervals.

Owns: which trials count (all of them: a missing or unreadable output is an empty answer), averages per incident and
overall. Does not own: a single score (`official.py`), intervals (`harness/statistics`), files and tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.errors import CAUSES
from harness.interop.evaluator_outputs import StoredOutput
from harness.records import Record
from harness.scoring.official import EMPTY, Scorecard, score
from harness.statistics import clustered_mean
from scenarios.schema import GroundTruth

UNIT = (0.0, 1.0)


class ScoredOutput(Record):
    """One trial with everything that was found out about it."""

    incident: str
    trial: int
    reason: str | None = None
    """Reason code where nothing readable was submitted; then the scorecard is that of an empty answer."""
    detail: str = ""
    card: Scorecard
    judged: dict[str, float | None] = Field(default_factory=dict)
    """Criteria that a judge decided; None where it gave no usable answer."""

    def metrics(self) -> dict[str, float | None]:
        """Every number of the trial by name."""
        return self.card.flat() | self.judged


def score_outputs(outputs: Sequence[StoredOutput], truths: Mapping[str, GroundTruth]) -> list[ScoredOutput]:
    """Score every owed trial. Raises KeyError for an incident without ground truth."""
    return [
        ScoredOutput(
            incident=output.incident,
            trial=output.trial,
            reason=output.reason,
            detail=output.detail,
            card=score(output.diagnosis or EMPTY, truths[output.incident]),
        )
        for output in outputs
    ]


def summarise(scored: Sequence[ScoredOutput]) -> dict[str, Any]:
    """`overall`: mean over incidents of the mean over trials, with a clustered 95 % interval and pass@1.
    `per_incident`: mean and standard deviation over the incident's trials. `denominators`: what was counted.

    A metric that is undefined for a trial (None) is left out of that metric alone, and n says so."""
    incidents = list(dict.fromkeys(one.incident for one in scored))
    names = list(dict.fromkeys(name for one in scored for name in one.metrics()))
    return {
        "denominators": _denominators(scored),
        "overall": {name: _overall(name, scored) for name in names},
        "per_incident": {
            incident: _per_incident(names, [one for one in scored if one.incident == incident])
            for incident in incidents
        },
    }


def _overall(name: str, scored: Sequence[ScoredOutput]) -> dict[str, Any]:
    values = [(value, one.incident) for one in scored if (value := one.metrics().get(name)) is not None]
    numbers, clusters = [value for value, _ in values], [incident for _, incident in values]
    mean = clustered_mean(numbers, clusters, UNIT)
    passed = clustered_mean([float(value == 1) for value in numbers], clusters, UNIT)
    return {
        "mean": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "trials": mean.n,
        "incidents": mean.scenarios,
        "sd_within": mean.sd_within,
        "pass@1": passed.mean,
    }


def _per_incident(names: Sequence[str], scored: Sequence[ScoredOutput]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for name in names:
        values = [value for one in scored if (value := one.metrics().get(name)) is not None]
        found = clustered_mean(values, [""] * len(values), UNIT)
        numbers[name] = {"mean": found.mean, "sd": found.sd_within, "trials": found.n}
    return {"trials": len(scored), "zeros": _reasons(scored), "metrics": numbers}


def _denominators(scored: Sequence[ScoredOutput]) -> dict[str, Any]:
    failed = [one for one in scored if one.reason is not None]
    return {
        "incidents": len({one.incident for one in scored}),
        "trials": len(scored),
        "read": len(scored) - len(failed),
        "counted_as_zero": len(failed),
        "reasons": {
            code: {"trials": count, "says": CAUSES[code].says} for code, count in _reasons(failed).items()
        },
    }


def _reasons(scored: Sequence[ScoredOutput]) -> dict[str, int]:
    return dict(sorted(Counter(one.reason for one in scored if one.reason is not None).items()))
