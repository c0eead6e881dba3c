"""False alarms: how often a guard interferes in runs that succeed without it.

Owns: the figure. A false alarm is a trial in which the guard fired although its partner in the reference arm,
with the same scenario, repeat and seed, succeeded; a harmful one is a false alarm after which the trial failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.records import TrialRecord
from harness.statistics.means import clustered_share

Partner = tuple[str, str, str, int, int]


class FalseAlarms(NamedTuple):
    """One guard in one arm of one model with one agent. None: no partner succeeded."""

    model: str
    agent: str
    arm: str
    guard: str
    n: int
    """Pairs whose reference trial succeeded."""
    scenarios: int
    fired: int
    """Of those, trials in which the guard fired."""
    rate: float | None
    low: float | None
    high: float | None
    harmful: int
    """Trials in which it fired and the run did not succeed."""
    firings: int
    """Firings in all those trials."""


def false_alarms(
    records: Iterable[TrialRecord], reference: str, guards: Mapping[str, Sequence[str]]
) -> list[FalseAlarms]:
    """The figure for every guard; `guards` maps each arm to the names under which its guards fire."""
    records = sorted(records, key=lambda record: record.spec.trial_id)
    succeeded = {partner(one) for one in records if one.spec.arm == reference and success(one)}
    cells: dict[tuple[str, str, str], list[TrialRecord]] = {}
    for one in records:
        if one.spec.arm in guards and one.status != "excluded":
            cells.setdefault((one.spec.model, one.spec.agent, one.spec.arm), []).append(one)
    return [
        _figure(cell, guard, [one for one in trials if partner(one) in succeeded])
        for cell, trials in cells.items()
        for guard in guards[cell[2]]
    ]


def success(record: TrialRecord) -> bool:
    """Every root cause was named, and the incident was remediated where that could be decided."""
    found = record.status == "scored" and record.score is not None and record.score.recall >= 1.0
    return found and (record.verdict is None or record.verdict.all_clear)


def partner(record: TrialRecord) -> Partner:
    """Equal for trials that differ in nothing but their arm."""
    spec = record.spec
    return (spec.model, spec.agent, spec.scenario, spec.repeat, spec.seed)


def _figure(cell: tuple[str, str, str], guard: str, paired: Sequence[TrialRecord]) -> FalseAlarms:
    firings = [one.guard_firings.get(guard, 0) for one in paired]
    share = clustered_share([float(count > 0) for count in firings], [one.spec.scenario for one in paired])
    return FalseAlarms(
        *cell,
        guard=guard,
        n=len(paired),
        scenarios=share.scenarios,
        fired=sum(count > 0 for count in firings),
        rate=share.mean,
        low=share.low,
        high=share.high,
        harmful=sum(count > 0 and not success(one) for count, one in zip(firings, paired, strict=True)),
        firings=sum(firings),
    )
