"""False alarms: how often a guard interferes in runs that succeed without it.

Owns: the figures. A guard interferes where it fires although its partner in the reference arm, with the same
scenario, repeat and seed, succeeded. A run can succeed and still commit what the guard is there for (a right
answer with an invented citation): only where the partner shows none of the targeted modes did the guard fire
without cause. Interference is harmful where the trial then failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from harness.records import TrialRecord
from harness.statistics.frames import combine_sources
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
    """Of those, trials in which the guard fired: interference."""
    rate: float | None
    low: float | None
    high: float | None
    without_mode: int | None
    """Of those that fired, trials whose partner shows none of the modes that the guard targets, as far as labels
    decide: false alarms in the strict sense. None for a guard that targets none, such as a placebo."""
    harmful: int
    """Trials in which it fired and the run did not succeed."""
    firings: int
    """Firings in all those trials."""


def false_alarms(
    records: Iterable[TrialRecord],
    reference: str,
    guards: Mapping[str, Sequence[str]],
    targets: Mapping[str, Sequence[str]],
) -> list[FalseAlarms]:
    """The figures for every guard; `guards` maps each arm to the names under which its guards fire, `targets` such
    a name to the slugs of the modes that it is meant to reduce."""
    records = sorted(records, key=lambda record: record.spec.trial_id)
    succeeded = {partner(one): one for one in records if one.spec.arm == reference and success(one)}
    cells: dict[tuple[str, str, str], list[TrialRecord]] = {}
    for one in records:
        if one.spec.arm in guards and one.status != "excluded":
            cells.setdefault((one.spec.model, one.spec.agent, one.spec.arm), []).append(one)
    return [
        _figure(
            cell,
            guard,
            targets.get(guard, ()),
            [(one, succeeded[partner(one)]) for one in trials if partner(one) in succeeded],
        )
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


def _figure(
    cell: tuple[str, str, str],
    guard: str,
    targets: Sequence[str],
    paired: Sequence[tuple[TrialRecord, TrialRecord]],
) -> FalseAlarms:
    """The figures of one guard from (trial, partner) pairs whose partner succeeded."""
    firings = [one.guard_firings.get(guard, 0) for one, _ in paired]
    share = clustered_share([float(count > 0) for count in firings], [one.spec.scenario for one, _ in paired])
    interfered = [pair for count, pair in zip(firings, paired, strict=True) if count]
    without = sum(not shows(alone, targets) for _, alone in interfered)
    return FalseAlarms(
        *cell,
        guard=guard,
        n=len(paired),
        scenarios=share.scenarios,
        fired=len(interfered),
        rate=share.mean,
        low=share.low,
        high=share.high,
        without_mode=without if targets else None,
        harmful=sum(not success(one) for one, _ in interfered),
        firings=sum(firings),
    )


def shows(record: TrialRecord, slugs: Sequence[str]) -> bool:
    """Whether any of these modes is labelled present in a trial."""
    decided = combine_sources(record.labels)
    return any(decided.get(slug) for slug in slugs)
