"""Contrasts are paired by scenario and seed; exclusions take their partner with them."""

from __future__ import annotations

import random

import pytest

from harness.records import TrialRecord
from harness.statistics import holm, paired_differences, scenario_contrast, trials_frame
from harness.statistics.denominators import contrast_bounds, mean_bounds
from tests.report.factory import experiment, record, spec


def pair(scenario: int, reference: float, arm: float, repeat: int = 0) -> list[TrialRecord]:
    return [
        record(spec(scenario, arm="baseline", repeat=repeat), recall=reference),
        record(spec(scenario, arm="gate", repeat=repeat), recall=arm),
    ]


def test_runs_are_averaged_within_the_scenario() -> None:
    records = [*pair(2, 0, 1), *pair(2, 0, 0, repeat=1), *pair(3, 0.5, 0)]
    differences, pairs = paired_differences(trials_frame(records), "gate", "baseline", "recall")
    assert differences == {"live/v2/2": 0.5, "live/v2/3": -0.5}
    assert pairs == 3


def test_a_run_without_partner_is_left_out() -> None:
    lonely = record(spec(3, arm="gate"), recall=1)
    differences, pairs = paired_differences(
        trials_frame([*pair(2, 0, 1), lonely]), "gate", "baseline", "recall"
    )
    assert differences == {"live/v2/2": 1}
    assert pairs == 1


def test_an_exclusion_removes_its_partner() -> None:
    excluded = record(spec(3, arm="baseline"), status="excluded", reason="api_error")
    records = [*pair(2, 0, 1), excluded, record(spec(3, arm="gate"), recall=1)]
    assert scenario_contrast(trials_frame(records), "gate", "baseline", "recall").scenarios == 1


def test_a_different_seed_is_no_partner() -> None:
    other = record(spec(2, arm="gate").model_copy(update={"seed": 99}), recall=1)
    frame = trials_frame([record(spec(2, arm="baseline")), other])
    found = scenario_contrast(frame, "gate", "baseline", "recall")
    assert (found.pairs, found.estimate, found.p_value) == (0, None, None)


def test_two_trials_in_one_place_are_refused() -> None:
    twin = record(spec(2, arm="gate").model_copy(update={"trial_id": "twin"}))
    with pytest.raises(ValueError, match=r"two trials of live/v2/2, repeat 0, seed 2000"):
        paired_differences(trials_frame([*pair(2, 0, 1), twin]), "gate", "baseline", "recall")


def test_swapping_arms_flips_the_sign() -> None:
    _, records = experiment(models=["m"], repeats=2)
    frame = trials_frame(records)
    there = scenario_contrast(frame, "verifier_gate", "baseline", "recall")
    back = scenario_contrast(frame, "baseline", "verifier_gate", "recall")
    assert there.estimate == pytest.approx(-back.estimate)  # type: ignore[operator]
    assert there.p_value == back.p_value
    assert there.low == pytest.approx(-back.high, abs=0.02)  # type: ignore[operator]


def test_order_of_records_does_not_matter() -> None:
    _, records = experiment(models=["m"])
    shuffled = random.Random(9).sample(records, len(records))
    of = [scenario_contrast(trials_frame(r), "placebo", "baseline", "tokens") for r in (records, shuffled)]
    assert of[0] == of[1]


def test_interval_is_cut_to_what_a_difference_can_be() -> None:
    records = [*pair(2, 0, 1), *pair(3, 0, 0.5)]
    found = scenario_contrast(trials_frame(records), "gate", "baseline", "recall", bounds=(0, 1))
    assert (found.low, found.high) == (-1, 1)
    assert found.detectable == pytest.approx(2.80 * 0.5**0.5 / 2 / 2**0.5)


def test_bounds_show_what_exclusions_could_have_changed() -> None:
    excluded = record(spec(3, arm="gate"), status="excluded", reason="api_error")
    frame = trials_frame([*pair(2, 0, 1), record(spec(3, arm="baseline"), recall=0.5), excluded])
    bounds = contrast_bounds(frame, "gate", "baseline", "recall")
    assert bounds == {"dropped": 1, "as_zero": 0.25, "least": 0.25, "most": 0.75}
    of_gate = frame.loc[frame["arm"] == "gate"]
    assert mean_bounds(of_gate, "recall") == {"dropped": 1, "as_zero": 0.5, "as_one": 1}


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .04: times 3, 2, 1, never falling.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == []
