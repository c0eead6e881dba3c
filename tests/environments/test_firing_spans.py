"""The history of alerts as spans: nothing lost, nothing invented, no two spans that touch."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.telemetry import SAMPLE_S, Alert, firing_spans


def alert(name: str, service: str = "checkout") -> Alert:
    return Alert(name, {"service_name": service}, "firing", 0.0)


def test_neighbouring_samples_are_one_span() -> None:
    history = [(60.0 * minute, alert("HighErrorRate")) for minute in (3, 4, 5, 9)]
    assert firing_spans(history, 240.0, 1000.0) == {
        "HighErrorRate checkout": [[-60.0, 120.0], [300.0, 360.0]]
    }


def test_no_span_ends_after_the_window() -> None:
    assert firing_spans([(600.0, alert("A"))], 0.0, 610.0) == {"A checkout": [[600.0, 610.0]]}


@given(st.sets(st.tuples(st.integers(0, 40), st.sampled_from("ab"))), st.integers(0, 2400))
def test_spans_cover_exactly_the_samples(samples: set[tuple[int, str]], origin: int) -> None:
    history = [(minute * SAMPLE_S, alert(name)) for minute, name in sorted(samples)]
    spans = firing_spans(history, float(origin), 1e6)
    covered = {
        (minute, name)
        for name in "ab"
        for minute in range(41)
        for begin, end in spans.get(f"{name} checkout", ())
        if begin <= minute * SAMPLE_S - origin < end
    }
    assert covered == samples
    for of_alert in spans.values():
        assert all(first[1] < second[0] for first, second in pairwise(of_alert))
