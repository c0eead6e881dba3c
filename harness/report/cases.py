"""Guards at work: for each guard one trial in which it changed the outcome, and one in which it fired wrongly.

Owns: the choice, over pairs of trials that differ in nothing but their arm. Does not own: what counts as success
or as a false alarm (`harness/statistics/false_alarms.py`), the markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.records import TrialRecord
from harness.statistics.false_alarms import partner, success


class Case(NamedTuple):
    """One pair worth reading."""

    guard: str
    kind: str
    """`helped`: it fired and the trial succeeded where its partner failed. `harmed`: it fired and the trial
    failed where its partner succeeded. `needless`: it fired although both succeeded."""
    trial: TrialRecord
    reference: TrialRecord


def cases(records: Sequence[TrialRecord], reference: str, guards: Mapping[str, Sequence[str]]) -> list[Case]:
    """For every guard the first case of `helped`, and the first of `harmed` or else of `needless`."""
    partners = {partner(one): one for one in records if one.spec.arm == reference}
    found: dict[tuple[str, str], Case] = {}
    for one in sorted(records, key=lambda record: record.spec.trial_id):
        for case in _cases_of(one, partners.get(partner(one)), guards.get(one.spec.arm, ())):
            found.setdefault((case.guard, case.kind), case)
    chosen: list[Case] = []
    for guard in dict.fromkeys(name for names in guards.values() for name in names):
        helped, harmed = found.get((guard, "helped")), found.get((guard, "harmed"))
        chosen.extend(case for case in (helped, harmed or found.get((guard, "needless"))) if case)
    return chosen


def _cases_of(trial: TrialRecord, reference: TrialRecord | None, guards: Sequence[str]) -> Iterator[Case]:
    if reference is None or "excluded" in (trial.status, reference.status):
        return
    kind = {
        (True, False): "helped",
        (False, True): "harmed",
        (True, True): "needless",
    }.get((success(trial), success(reference)))
    for guard in guards:
        if kind and trial.guard_firings.get(guard):
            yield Case(guard, kind, trial, reference)
