"""How a record becomes a row: failed is zero, excluded is missing, undecided modes are missing."""

from __future__ import annotations

import math

import pytest

from harness.records import Label
from harness.statistics import trials_frame
from harness.statistics.frames import combine_sources
from tests.report.factory import record, spec, usage


def test_a_failed_trial_is_zero_but_its_cost_and_modes_count() -> None:
    failed = record(status="failed", reason="budget_turns", modes={"derailment": "present"}, usage=usage(700))
    row = trials_frame([failed]).iloc[0]
    assert (row["recall"], row["precision"], row["remediated"]) == (0, 0, 0)
    assert (row["reason"], row["modes"], row["tokens"]) == ("budget_turns", 1, 1200)


def test_a_failed_trial_is_zero_even_when_it_left_the_cluster_healthy() -> None:
    row = trials_frame([record(status="failed", reason="no_output", remediated=True)]).iloc[0]
    assert (row["symptom_cleared"], row["remediated"]) == (1, 0)


def test_an_excluded_trial_is_flagged_and_has_no_values() -> None:
    row = trials_frame([record(status="excluded", reason="api_error")]).iloc[0]
    assert row["excluded"]
    assert math.isnan(row["recall"])
    assert math.isnan(row["modes"])


def test_remediation_is_missing_where_it_cannot_be_decided() -> None:
    snapshot = [
        record(verdict=None, can_act=False),
        record(spec(3), status="failed", reason="no_output", verdict=None, can_act=False),
    ]
    assert trials_frame(snapshot)["remediated"].isna().all()


def test_a_mode_is_present_when_any_source_says_so_and_missing_when_none_decides() -> None:
    def label(slug: str, present: str, source: str) -> Label:
        return Label.model_validate({"slug": slug, "present": present, "source": source})

    labels = [
        label("derailment", "absent", "detector:x"),
        label("derailment", "present", "judge:y"),
        label("history_loss", "cannot_tell", "judge:y"),
        label("disobey_task", "not_applicable", "judge:y"),
        label("step_repetition", "absent", "detector:z"),
    ]
    assert combine_sources(labels) == {"derailment": 1, "step_repetition": 0}


def test_steps_are_attempted_calls() -> None:
    row = trials_frame([record(modes={"derailment": "present"}, tool_calls=20, denied_calls=15)]).iloc[0]
    assert row["modes_per_10_steps"] == 0.5


def test_an_unclassified_trace_has_no_count_of_modes() -> None:
    assert math.isnan(trials_frame([record()]).iloc[0]["modes"])


def test_no_records_give_an_empty_table_with_the_same_columns() -> None:
    empty, full = trials_frame([]), trials_frame([record()])
    assert list(empty.columns) == list(full.columns)
    assert empty.empty


def test_all_inconsistencies_are_reported_at_once() -> None:
    broken = record(spec(2)).model_copy(update={"score": None})
    silent = record(spec(3), status="failed", reason=None)
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        trials_frame([broken, silent, record(spec(4)), record(spec(4))])
    text = str(raised.value)
    assert "s002-sim_a-baseline-r0: status is scored but it has no score" in text
    assert "s003-sim_a-baseline-r0: status is failed but it has no reason code" in text
    assert "s004-sim_a-baseline-r0: recorded twice" in text
