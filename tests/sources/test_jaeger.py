"""Call paths from a server that answers as Jaeger's query API does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from harness.environments.kubernetes.sources import jaeger
from harness.environments.kubernetes.sources.jaeger import Jaeger, JaegerPaths
from harness.errors import InfrastructureError
from harness.telemetry import CallPath
from scenarios.applications import load_application
from tests.sources.local import Answer, Asked, serving

BEGIN = 1_763_633_000.0
SHOP = load_application("otel-demo")
Json = dict[str, Any]


def tag(key: str, value: Any) -> Json:
    kind = {bool: "bool", int: "int64", str: "string"}[type(value)]
    return {"key": key, "type": kind, "value": value}


def span(
    trace: str, name: str, process: str, parent: str = "", second: float = 10, ms: float = 5, **tags: Any
) -> Json:
    reference = {"refType": "CHILD_OF", "traceID": trace, "spanID": parent}
    return {
        "traceID": trace, "spanID": name, "operationName": "Get", "references": [reference] if parent else [],
        "startTime": round((BEGIN + second) * 1e6), "duration": round(ms * 1e3), "processID": process,
        "tags": [tag(key.replace("__", "."), value) for key, value in tags.items()], "logs": [], "warnings": None,
    }  # fmt: skip


def trace(name: str, spans: Sequence[Json], **processes: str) -> Json:
    named = {key: {"serviceName": service, "tags": []} for key, service in processes.items()}
    return {"traceID": name, "spans": spans, "processes": named, "warnings": None}


def simple(name: str, service: str = "frontend", second: float = 10) -> Json:
    return trace(name, [span(name, "a", "p1", second=second)], p1=service)


class Server:
    """Holds traces, newest first, and answers questions for those of a service."""

    def __init__(self, *traces: Json) -> None:
        self.traces = traces
        self.also: list[str] = []
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        names = {each["serviceName"] for one in self.traces for each in one["processes"].values()}
        if asked.path == "/jaeger/api/services":
            return self.answer(sorted(names | set(self.also)) or None)
        assert asked.path == "/jaeger/api/traces"
        wanted = asked.parameters
        found = [
            one
            for one in sorted(self.traces, key=lambda each: -each["spans"][0]["startTime"])
            if any(each["serviceName"] == wanted["service"] for each in one["processes"].values())
            and any(int(wanted["start"]) <= each["startTime"] <= int(wanted["end"]) for each in one["spans"])
        ]
        return self.answer(found[: int(wanted["limit"])])

    def answer(self, data: Any) -> Answer:
        body = {"data": data, "total": 0, "limit": 0, "offset": 0, "errors": None}
        return Answer(json.dumps(body).encode())


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with serving(server) as address:
        yield f"{address}/jaeger"


def paths(url: str, low: float = 0, high: float = 100) -> list[CallPath]:
    return list(JaegerPaths(Jaeger(url), SHOP).call_paths(BEGIN + low, BEGIN + high))


def counts(found: Sequence[CallPath]) -> dict[tuple[str, ...], tuple[float, float]]:
    return {one.path: (one.count, one.errors) for one in found}


def test_a_path_goes_through_services_and_ends_where_it_failed(server: Server, url: str) -> None:
    failed = {"error": True, "otel__status_code": "ERROR", "otel__status_description": "cart is full"}
    spans = [
        span("t1", "d", "p2", "c", span__kind="client", server__address="valkey-cart.otel-demo", server__port=6379),
        span("t1", "c", "p2", "b", ms=60, span__kind="server", **failed),
        span("t1", "b", "p1", "a", ms=70, span__kind="client", rpc__service="cart"),
        span("t1", "a", "p1", span__kind="server"),
    ]  # fmt: skip
    server.traces = (trace("t1", spans, p1="frontend", p2="cart"), simple("t2"))
    found = paths(url)
    assert counts(found) == {
        ("frontend",): (2, 0),
        ("frontend", "cart"): (1, 1),
        ("frontend", "cart", "valkey-cart"): (1, 0),
    }
    assert (found[1].operation, found[1].p95_ms, found[1].sample_error) == ("Get", 70.0, "cart is full")


def test_a_message_follows_from_whoever_sent_it(server: Server, url: str) -> None:
    sent = span("t1", "a", "p1", span__kind="producer", messaging__system="kafka")
    taken = span("t1", "b", "p2", "a", span__kind="consumer")
    taken["references"] = [
        {"refType": "FOLLOWS_FROM", "traceID": "another", "spanID": "x"},
        {"refType": "FOLLOWS_FROM", "traceID": "t1", "spanID": "a"},
    ]
    server.traces = (trace("t1", [sent, taken], p1="checkout", p2="accounting"),)
    assert counts(paths(url)) == {("checkout",): (1, 0), ("checkout", "accounting"): (1, 0)}


def test_windows_are_microseconds_and_calls_outside_do_not_count(server: Server, url: str) -> None:
    server.traces = (simple("t1", second=5), simple("t2", second=15), simple("t3", second=25))
    assert counts(paths(url, 10, 20)) == {("frontend",): (1, 0)}
    asked = server.asked[-1].parameters
    assert (asked["start"], asked["end"]) == ("1763633010000000", "1763633020000000")
    assert asked["limit"] == str(jaeger.TRACES)


def test_a_call_in_a_trace_that_began_before_the_window_counts(server: Server, url: str) -> None:
    spans = [span("t1", "a", "p1", second=5), span("t1", "b", "p2", "a", second=15)]
    server.traces = (trace("t1", spans, p1="frontend", p2="cart"),)
    assert counts(paths(url, 10, 20)) == {("frontend", "cart"): (1, 0)}


def test_only_the_applications_services_are_asked_for(server: Server, url: str) -> None:
    server.also = ["jaeger", "productpage", "frontend-web", "cart.otel-demo"]
    server.traces = (simple("t1"), simple("t2", "jaeger"))
    assert counts(paths(url)) == {("frontend",): (1, 0)}
    wanted = [one.parameters["service"] for one in server.asked if "service" in one.parameters]
    assert wanted == ["cart.otel-demo", "frontend"]


def test_nothing_is_no_path(server: Server, url: str) -> None:
    assert paths(url) == []
    server.also = ["frontend"]
    assert paths(url) == []


@pytest.mark.parametrize("missing", ["references", "tags", "processID", "duration"])
def test_a_span_may_lack_what_jaeger_leaves_out(server: Server, url: str, missing: str) -> None:
    one = simple("t1")
    del one["spans"][0][missing]
    server.traces = (one,)
    assert [path.count for path in paths(url)] == [1]


def test_where_there_are_too_many_traces_the_newest_count_for_the_window(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaeger, "TRACES", 20)
    busy = [simple(f"f{number}", second=number) for number in range(1, 101)]
    spans = [span("rare", "a", "p1", second=5), span("rare", "b", "p2", "a", second=5, error=True)]
    rare = trace("rare", spans, p1="frontend", p2="checkout")
    server.traces = (*busy, rare)
    found = counts(paths(url))
    assert found["frontend", "checkout"] == (1, 1)
    assert found["frontend",][0] == pytest.approx(100, rel=0.1)


def test_an_error_of_the_server_is_passed_on(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"data": None, "errors": [{"code": 500, "msg": "no living connections"}]}
    for status in (200, 500):
        answer = Answer(json.dumps(refusal).encode(), status=status)
        monkeypatch.setattr(server, "answer", lambda _, said=answer: said)
        with pytest.raises(InfrastructureError, match="no living connections"):
            paths(url)


@pytest.mark.parametrize(
    "broken",
    [{"traceID": "t"}, {"traceID": "t", "spans": [{"spanID": 7}], "processes": {}}, "text", None],
)
def test_a_trace_that_is_none_is_an_error(server: Server, url: str, broken: Any) -> None:
    server.traces = (simple("t1"),)
    told = server.answer

    def answer(data: Any) -> Answer:
        return told([broken] if isinstance(data[0], dict) else data)

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(InfrastructureError, match="/api/traces: not the expected answer"):
        paths(url)


def test_a_server_that_is_slow_for_every_service_is_not_waited_for(server: Server, url: str) -> None:
    server.also = ["ad", "cart", "checkout", "frontend"]
    ticks = iter(range(0, 1000, 25))
    with pytest.raises(InfrastructureError, match="longer than 60 s"):
        JaegerPaths(Jaeger(url), SHOP, clock=lambda: float(next(ticks))).call_paths(BEGIN, BEGIN + 9)
    assert len(server.asked) == 3
