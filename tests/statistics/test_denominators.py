"""Every planned trial is accounted for, and reliability over repeats is counted by hand."""

from __future__ import annotations

import pytest

from harness.statistics import Denominators, count_trials, pass_at_k, pass_hat_k, reliability
from tests.report.factory import record, spec


def test_every_planned_trial_is_accounted_for() -> None:
    planned = [spec(scenario) for scenario in (2, 3, 4, 5)]
    records = [
        record(planned[0]),
        record(planned[1], status="failed", reason="no_output"),
        record(planned[2], status="excluded", reason="api_error"),
    ]
    assert count_trials(planned, records).as_dict() == {
        "planned": 4, "scored": 1, "failed": 1, "excluded": 1, "owed": 1, "spared": 0,
    }  # fmt: skip


def test_counts_that_do_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="10 trials were planned but 9 are accounted for"):
        Denominators(planned=10, scored=5, failed=2, excluded=1, owed=1)


def test_a_trial_recorded_twice_breaks_the_count() -> None:
    with pytest.raises(ValueError, match="accounted for"):
        count_trials([spec(2), spec(3)], [record(spec(2)), record(spec(2))])


def test_a_record_of_no_planned_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="s003-sim_a-baseline-r0"):
        count_trials([spec(2)], [record(spec(3))])


def test_pass_at_k_and_pass_hat_k_by_hand() -> None:
    # Two successes of three runs, k = 2: pairs are SS, SF, SF.
    assert pass_at_k(3, 2, 2) == 1
    assert pass_hat_k(3, 2, 2) == pytest.approx(1 / 3)
    # One success of three: SF, SF, FF.
    assert pass_at_k(3, 1, 2) == pytest.approx(2 / 3)
    assert pass_hat_k(3, 1, 2) == 0


def test_with_one_run_both_are_the_success_rate() -> None:
    assert pass_at_k(5, 2, 1) == pytest.approx(pass_hat_k(5, 2, 1)) == pytest.approx(0.4)


def test_reliability_averages_over_scenarios_with_enough_runs() -> None:
    success = [True, True, False, True, True]
    found = reliability(success, ["a", "a", "b", "b", "c"], k=2)
    assert (found.pass_at_k, found.pass_hat_k, found.scenarios) == (1, 0.5, 2)
    assert reliability([True], ["a"], k=2).pass_at_k is None


@pytest.mark.parametrize(("runs", "successes", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 2)])
def test_impossible_counts_are_refused(runs: int, successes: int, k: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        pass_at_k(runs, successes, k)
