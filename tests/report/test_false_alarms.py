"""False alarms: a guard that fires where its partner in the reference arm succeeded."""

from __future__ import annotations

from factory import record, spec

from harness.records import Label
from harness.statistics.false_alarms import false_alarms


def test_only_runs_that_succeed_without_the_guard_count() -> None:
    good = [record(spec(scenario=s)) for s in (2, 3, 4)]
    bad = record(spec(scenario=5), recall=0.0)
    guarded = [
        record(spec(scenario=2, arm="g"), guard_firings={"loop_guard": 2}),
        record(spec(scenario=3, arm="g"), guard_firings={"loop_guard": 1}, recall=0.0),
        record(spec(scenario=4, arm="g")),
        record(spec(scenario=5, arm="g"), guard_firings={"loop_guard": 7}),
    ]

    (found,) = false_alarms([*good, bad, *guarded], "baseline", {"g": ["loop_guard"]}, {})

    assert (found.n, found.fired, found.harmful, found.firings) == (3, 2, 1, 3)
    assert found.rate == 2 / 3


def test_a_guard_that_never_fired_has_the_figure_zero() -> None:
    trials = [record(spec(scenario=s, arm=arm)) for s in (2, 3) for arm in ("baseline", "g")]

    (found,) = false_alarms(trials, "baseline", {"g": ["verifier_gate"]}, {})

    assert (found.n, found.rate) == (2, 0.0)
    assert found.high is not None
    assert found.high > 0


def test_an_incident_that_was_not_remediated_is_no_success() -> None:
    trials = [record(spec(), remediated=False), record(spec(arm="g"), guard_firings={"x": 1})]

    (found,) = false_alarms(trials, "baseline", {"g": ["x"]}, {})

    assert (found.n, found.rate) == (0, None)


def test_a_success_that_shows_the_mode_is_told_from_a_guard_that_fires_without_cause() -> None:
    proposed = Label(slug="incorrect_verification", present="present", source="detector:x", basis="proposes")
    trials = [
        record(spec(scenario=2), modes={"incorrect_verification": "present"}),
        record(spec(scenario=3)).model_copy(update={"labels": (proposed,)}),
        record(spec(scenario=4)),
        *(record(spec(scenario=s, arm="g"), guard_firings={"verifier_gate": 1}) for s in (2, 3, 4)),
    ]
    targets = {"verifier_gate": ["incorrect_verification"]}

    (found,) = false_alarms(trials, "baseline", {"g": ["verifier_gate"]}, targets)

    assert (found.fired, found.without_mode) == (3, 2)


def test_a_guard_that_targets_nothing_has_no_such_figure() -> None:
    trials = [record(spec()), record(spec(arm="g"), guard_firings={"placebo": 1})]

    (found,) = false_alarms(trials, "baseline", {"g": ["placebo"]}, {})

    assert (found.fired, found.without_mode) == (1, None)
