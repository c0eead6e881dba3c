"""What is read from scrapes and objects, and what alert rules make of it; no cluster needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.environments.kubernetes.alerting import Alerting
from harness.environments.kubernetes.history import History, Sample
from harness.environments.kubernetes.logs import record_of
from harness.environments.kubernetes.scrape import Counters, SeriesKey, parse
from harness.environments.kubernetes.shop.program.wire import parse_address
from harness.environments.kubernetes.signals import BUCKETS, CALLS, percentiles
from scenarios.applications import load_application

PACE = 0.1
NAMESPACE = "otel-demo"


def calls(service: str, status: str = "STATUS_CODE_UNSET") -> SeriesKey:
    labels = {
        "service_name": service,
        "span_kind": "SPAN_KIND_SERVER",
        "span_name": "x",
        "status_code": status,
    }
    return SeriesKey(CALLS, tuple(sorted(labels.items())))


def deployment(name: str, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "resourceVersion": "1"}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1}, "status": status}


def waiting_pod(reason: str) -> dict[str, Any]:
    state = {"name": "cart", "state": {"waiting": {"reason": reason}}}
    status = {"phase": "Running", "containerStatuses": [state]}
    return {"kind": "Pod", "metadata": {"name": "cart-1-abcde", "namespace": NAMESPACE}, "status": status}


def played(samples: Iterator[Sample]) -> Alerting:
    alerting, history = Alerting(load_application("otel-demo"), PACE), History()
    for sample in samples:
        history.add(sample)
        alerting.evaluate(history, sample.time)
    return alerting


def sample(
    time: float, totals: Mapping[SeriesKey, float] | None = None, pods: tuple[dict[str, Any], ...] = ()
) -> Sample:
    return Sample(time, totals or {}, pods, [deployment("cart")], [])


def states(alerting: Alerting) -> dict[tuple[str, str], str]:
    return {alert.key: alert.state for alert in alerting.current}


class TestScrapes:
    def test_lines_become_series(self) -> None:
        text = '# HELP x\nx_total{a="b",c="d \\"e\\""} 3\nplain 2.5\nnot a line\nbad{a="b"} text\n'
        assert list(parse(text)) == [
            (SeriesKey("x_total", (("a", "b"), ("c", 'd "e"'))), 3.0),
            (SeriesKey("plain", ()), 2.5),
        ]

    @given(st.text())
    def test_no_text_breaks_the_parser(self, text: str) -> None:
        assert all(key.metric for key, _ in parse(text))

    @given(st.lists(st.lists(st.integers(0, 50), min_size=1), min_size=1))
    def test_sums_survive_restarts_of_pods(self, lives: list[list[int]]) -> None:
        """Each life of a process counts from zero; what it counted is never lost."""
        counters, key, expected = Counters(), SeriesKey("x_total", ()), 0
        for number, growth in enumerate(lives):
            total = 0
            for step in growth:
                total += step
                counters.take(f"pod-{number}", iter([(key, float(total))]))
            expected += total
        assert counters.totals[key] == expected

    def test_a_container_that_restarts_in_its_pod_goes_on_from_where_it_was(self) -> None:
        counters, key = Counters(), SeriesKey("x_total", ())
        for value in (5.0, 9.0, 2.0, 3.0):
            counters.take("pod", iter([(key, value)]))
        assert counters.totals[key] == 12


class TestPercentiles:
    def test_interpolates_within_a_bucket(self) -> None:
        def bucket(edge: str) -> SeriesKey:
            return SeriesKey(BUCKETS, (("le", edge), ("service_name", "cart")))

        history = History()
        history.add(sample(0))
        history.add(sample(10, {bucket("100"): 50, bucket("200"): 100, bucket("+Inf"): 100}))
        assert percentiles(history, 0, 10, 0.95) == {"cart": 190.0}

    def test_without_requests_there_is_none(self) -> None:
        history = History()
        history.add(sample(0))
        assert percentiles(history, 0, 10, 0.95) == {}


class TestAlerts:
    def test_errors_fire_after_the_hold_time_and_clear_after_the_window(self) -> None:
        def errors(until: float, end: float) -> Iterator[Sample]:
            for step in range(int(end / 3) + 1):
                time = step * 3.0
                yield sample(time, {calls("cart", "STATUS_CODE_ERROR"): min(time, until)})

        alert = ("HighRequestErrorRate", "cart")
        assert states(played(errors(99, 12)))[alert] == "pending"
        assert states(played(errors(99, 30)))[alert] == "firing"
        assert alert not in states(played(errors(30, 60)))

    def test_silence_counts_only_once_the_window_has_been_seen(self) -> None:
        def silent(end: float) -> Iterator[Sample]:
            for step in range(int(end / 3) + 1):
                yield sample(step * 3.0, {calls("cart"): 7.0})

        alert = ("NoRequestsReceived", "cart")
        assert alert not in states(played(silent(27)))
        assert states(played(silent(66)))[alert] == "firing"

    def test_a_crash_loop_holds_between_two_backoffs(self) -> None:
        def looping() -> Iterator[Sample]:
            for step in range(25):
                down = (step // 3) % 2 == 0
                yield sample(step * 3.0, pods=(waiting_pod("CrashLoopBackOff" if down else "x"),))

        assert states(played(looping()))["KubePodCrashLooping", "cart-1-abcde"] == "firing"

    def test_what_fired_is_remembered_with_its_time(self) -> None:
        pods = (waiting_pod("ImagePullBackOff"),)
        alerting = played(iter([sample(0, pods=pods), sample(31, pods=pods), sample(34)]))
        assert [(time, alert.name) for time, alert in alerting.fired] == [(31, "KubeContainerWaiting")]
        assert alerting.current == ()


class TestWords:
    def test_json_lines_keep_their_severity(self) -> None:
        line = record_of(1.0, "cart", "p", '{"time": 5.5, "severity": "ERROR", "body": "broken"}')
        assert (line.time, line.severity, line.body) == (5.5, "ERROR", "broken")
        assert record_of(1.0, "cart", "p", "plain").severity == "INFO"


def test_addresses_of_the_shop() -> None:
    assert parse_address("http://cart:8080/x", 80) == ("cart", 8080)
    assert parse_address("Host=postgresql;Username=u", 5432) == ("postgresql", 5432)
    assert parse_address("kafka:invalid", 9092) == ("kafka", 0)
    assert parse_address("", 80) == ("", 80)
