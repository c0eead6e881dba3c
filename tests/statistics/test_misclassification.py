"""Prevalence corrected for the classifier's errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConfigurationError
from harness.report import build_results
from harness.report.correction import read_calibration
from harness.statistics.misclassification import Calibration, differential_error, rogan_gladen
from tests.report.factory import experiment

GOOD = Calibration(tp=90, fn=10, fp=5, tn=95)


def test_correction_by_hand() -> None:
    # (0.3 + 0.95 - 1) / (0.9 + 0.95 - 1)
    found = rogan_gladen(0.3, 200, GOOD)
    assert found.prevalence == pytest.approx(0.25 / 0.85)
    assert found.low < found.prevalence < found.high  # type: ignore[operator]


def test_correction_stays_within_a_share() -> None:
    assert rogan_gladen(0.01, 200, GOOD).prevalence == 0
    assert rogan_gladen(0.99, 200, GOOD).prevalence == 1


def test_a_classifier_that_may_be_worse_than_a_coin_is_refused() -> None:
    found = rogan_gladen(0.3, 200, Calibration(6, 4, 3, 7))
    assert found.prevalence is None
    assert "below 0.4" in found.problem
    assert "no positive trace" in rogan_gladen(0.3, 200, Calibration(0, 0, 1, 50)).problem


def test_interval_covers_the_true_prevalence() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(600):
        m1, m0, n = 80, 80, 200
        tp, tn = rng.binomial(m1, 0.9), rng.binomial(m0, 0.92)
        share = rng.binomial(n, 0.3 * 0.9 + 0.7 * 0.08) / n
        found = rogan_gladen(share, n, Calibration(tp, m1 - tp, m0 - tn, tn))
        covered += found.low <= 0.3 <= found.high  # type: ignore[operator]
    assert 0.93 <= covered / 600 <= 0.98


def test_errors_that_differ_between_arms_are_noticed() -> None:
    assert differential_error(GOOD, Calibration(60, 40, 5, 95)).differs()
    assert not differential_error(GOOD, Calibration(88, 12, 6, 94)).differs()


def test_a_report_corrects_per_arm_and_warns(tmp_path: Path) -> None:
    good = {"tp": 90, "fn": 10, "fp": 5, "tn": 95}
    arms = {"baseline": {"derailment": good}, "verifier_gate": {"derailment": {**good, "tp": 60, "fn": 40}}}
    modes = {"step_repetition": good}
    (tmp_path / "calibration.json").write_text(json.dumps({"modes": modes, "arms": arms}))
    plan, records = experiment(models=["m"], scenarios=8)
    calibrations = read_calibration(tmp_path)
    assert calibrations is not None
    entries = build_results(plan, records, calibrations=calibrations)["analyses"]["corrected_modes"]
    assert {entry["slug"] for entry in entries} == {"step_repetition"}
    assert all(entry["prevalence"] is not None for entry in entries)
    assert calibrations.of("verifier_gate", "derailment") == Calibration(60, 40, 5, 95)
    assert calibrations.of("placebo", "derailment") is None
    (tmp_path / "calibration.json").write_text("[1]")
    with pytest.raises(ConfigurationError, match=r"slug -> \{tp, fn, fp, tn\}"):
        read_calibration(tmp_path)
