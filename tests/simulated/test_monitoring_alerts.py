"""Alert conditions as intervals: windows, hold times, noise."""

from __future__ import annotations

import math

import pytest

from harness.environments.rules import Rule, load_rules
from harness.environments.simulated.alerts import Condition, Span, active_since, merged
from harness.environments.simulated.noise import ERROR_WINDOW_S, background, blips
from harness.environments.simulated.recorder import Lag, crossing


def rule(name: str, group: str = "") -> Rule:
    return next(r for r in load_rules() if r.alert == name and (not group or r.group == group))


def held(over: Rule, on: float, off: float, share: float = 1.0) -> list[Span]:
    condition = Condition()
    condition.start(on, *over.delays(share))
    condition.stop(off)
    return condition.spans


def test_a_rate_above_zero_holds_until_its_window_has_passed() -> None:
    assert held(rule("HighRequestErrorRate"), 100, 110) == [Span(100, 230)]


def test_a_rate_equal_to_zero_needs_its_whole_window() -> None:
    assert held(rule("NoRequestsReceived"), 0, 900) == [Span(300, 900)]
    assert held(rule("NoRequestsReceived"), 0, 200) == []


def test_a_percentile_turns_when_five_percent_of_its_window_are_slow() -> None:
    (span,) = held(rule("HighRequestLatency"), 0, 1000, share=0.1)
    assert span.begin == pytest.approx(60)
    assert span.end == pytest.approx(1060)


def test_errors_that_come_back_within_the_window_count_as_one() -> None:
    condition = Condition()
    for on in (0, 100, 200):
        condition.start(on, *rule("HighRequestErrorRate").delays(1))
        condition.stop(on + 5)
    assert merged(condition.spans) == [Span(0, 325)]
    assert active_since(condition.spans, 324) == 0
    assert active_since(condition.spans, 325) is None


def test_regular_expressions_are_anchored_as_prometheus_does() -> None:
    backend = rule("HighRequestLatency", "backend")
    assert not backend.concerns("frontend")
    assert backend.concerns("frontend-proxy")
    assert not rule("HighRequestErrorRate", "backend").concerns("frontend-proxy")


def test_what_was_foreseen_is_replaced_when_things_change() -> None:
    condition = Condition()
    condition.foresee(0, 50)
    assert condition.spans == [Span(50, math.inf)]
    condition.foresee(20, None)
    assert condition.spans == []
    condition.foresee(30, 40)
    condition.foresee(60, 60, 90)
    assert condition.spans == [Span(40, 90)]


def test_a_growing_lag_crosses_its_threshold_once() -> None:
    assert crossing(Lag(10, 0, 20), 100) == (15, math.inf)
    assert crossing(Lag(10, 300, -20), 100) == (10, 20)
    assert crossing(Lag(10, 50, -1), 100) == (None, math.inf)


def test_blips_are_shorter_than_the_hold_time_and_far_apart() -> None:
    hold = rule("HighRequestErrorRate").for_s
    found = 0
    for seed in range(60):
        spans = [Span(s.begin, s.end + ERROR_WINDOW_S) for s in blips(seed, "cart", 0, 86_400)]
        found += len(spans)
        assert len(merged(spans)) == len(spans)
        assert all(span.end - span.begin < hold for span in spans)
    assert found > 60


def test_the_watchdog_always_fires_and_some_worlds_have_an_unrelated_alert() -> None:
    worlds = [background(seed, 1000.0) for seed in range(200)]
    assert all(alerts[0].name == "Watchdog" and alerts[0].labels["severity"] == "none" for alerts in worlds)
    assert 40 < sum(len(alerts) > 1 for alerts in worlds) < 130
    assert all(alert.state == "firing" and alert.active_at < 1000 for alerts in worlds for alert in alerts)
