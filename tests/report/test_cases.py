"""Guards at work: the pairs of trials that a report shows for each guard."""

from __future__ import annotations

from harness.records import Score, TrialRecord, TrialSpec, Verdict
from harness.report.cases import cases

GUARDS = {"gate": ("verifier_gate",)}
WELL = Verdict(symptom_cleared=True, cause_removed=True, collateral_damage=False)


def trial(arm: str, scenario: str, succeeded: bool, fired: int = 0) -> TrialRecord:
    recall = float(succeeded)
    return TrialRecord(
        spec=TrialSpec(
            trial_id=f"{scenario}.{arm}", scenario=scenario, model="m", agent="a", arm=arm, repeat=0, seed=1
        ),
        status="scored",
        score=Score(recall=recall, precision=recall, f1=recall, recall_strict=recall, mutation_recall=recall),
        verdict=WELL,
        guard_firings={"verifier_gate": fired} if fired else {},
    )


def shown(*records: TrialRecord) -> list[tuple[str, str]]:
    return [(case.kind, case.trial.spec.trial_id) for case in cases(records, "baseline", GUARDS)]


def test_one_that_helped_and_one_that_harmed() -> None:
    helped = trial("baseline", "1", False), trial("gate", "1", True, fired=2)
    harmed = trial("baseline", "2", True), trial("gate", "2", False, fired=1)
    needless = trial("baseline", "0", True), trial("gate", "0", True, fired=1)
    assert shown(*helped, *harmed, *needless) == [("helped", "1.gate"), ("harmed", "2.gate")]


def test_a_needless_firing_stands_in_where_nothing_was_harmed() -> None:
    assert shown(trial("baseline", "0", True), trial("gate", "0", True, fired=1)) == [("needless", "0.gate")]


def test_a_difference_without_a_firing_is_no_case() -> None:
    assert shown(trial("baseline", "1", False), trial("gate", "1", True)) == []


def test_a_trial_without_partner_or_with_an_excluded_one_is_no_case() -> None:
    excluded = trial("baseline", "1", False).model_copy(update={"status": "excluded", "score": None})
    assert shown(trial("gate", "1", True, fired=1)) == []
    assert shown(excluded, trial("gate", "1", True, fired=1)) == []
