"""Logs and call paths from ITBench's tables in real ClickHouse engines, an old server and a current engine."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from harness.environments.kubernetes.sources import tables
from harness.environments.kubernetes.sources.clickhouse import ClickHouse
from harness.environments.kubernetes.sources.tables import SEVERITY, LogTable, SpanTable, recent
from harness.environments.otel.severity import SPELLINGS, severity_of
from harness.errors import InfrastructureError
from tests.sources.engines import Engine
from tests.sources.layout import LOGS, TRACES, inserted

BEGIN = 1_763_633_000.0
EVIL = (
    "' OR 1 = 1 --",
    "\\' OR 1=1 --",
    "x') UNION ALL SELECT 1 --",
    "\0",
    "%",
    "_",
    "\ud800",
    "{a:String}",
    "☃ É'",
)
numbers = count(1)


def log(engine: Engine, second: float, body: str, **columns: Any) -> None:
    row = {"Timestamp": BEGIN + second, "Body": body, "ServiceName": "cart", "SeverityText": "INFO"} | columns
    maps = {"ResourceAttributes": {}, "ScopeAttributes": {}, "LogAttributes": {}}
    engine.execute(inserted(LOGS, maps | row, engine.old))


def span(
    engine: Engine, trace: str, service: str, parent: str = "", second: float = 10, **columns: Any
) -> str:
    name = f"s{next(numbers)}"
    row = {
        "Timestamp": BEGIN + second, "TraceId": trace, "SpanId": name, "ParentSpanId": parent, "SpanName": "Get",
        "SpanKind": "Server", "ServiceName": service, "Duration": 5_000_000, "StatusCode": "Unset",
        "ResourceAttributes": {}, "SpanAttributes": {},
    }  # fmt: skip
    engine.execute(inserted(TRACES, row | columns, engine.old))
    return name


def found(engine: Engine, low: float = 0, high: float = 100, limit: int = 50, **wanted: str) -> list[str]:
    words = {"service": "", "pod": "", "contains": "", "severity": ""} | wanted
    at = BEGIN + low, BEGIN + high
    records = LogTable(engine.server, LOGS).matching(
        words["service"], words["pod"], *at, words["contains"], limit, words["severity"]
    )
    return [record.body for record in records]


def paths(engine: Engine, low: float = 0, high: float = 100) -> dict[tuple[str, ...], tuple[float, float]]:
    seen = SpanTable(engine.server, TRACES).call_paths(BEGIN + low, BEGIN + high)
    return {one.path: (one.count, one.errors) for one in seen}


class TestLogs:
    def test_a_record_has_what_the_table_says(self, engine: Engine) -> None:
        log(
            engine, 1.25, "it's\ta \\ line\nand é", SeverityText="warning",
            ResourceAttributes={"a": "k8s.pod.name", "quo'te": ",'k8s.pod.name':'no'", "k8s.pod.name": "cart-1-x"},
        )  # fmt: skip
        (record,) = LogTable(engine.server, LOGS).matching("", "", BEGIN, BEGIN + 9, "", 10, "")
        assert record[1:] == ("cart", "cart-1-x", "WARN", "it's\ta \\ line\nand é")
        assert record.time == pytest.approx(BEGIN + (1 if engine.old else 1.25), abs=1e-5)

    def test_the_newest_come_oldest_first_and_no_more_than_asked(self, engine: Engine) -> None:
        for second in (3, 1, 2):
            log(engine, second, f"at {second}")
        assert found(engine) == ["at 1", "at 2", "at 3"]
        assert found(engine, limit=2) == ["at 2", "at 3"]
        assert found(engine, limit=0) == []
        assert found(engine, low=2, high=2.5) == ["at 2"]

    def test_by_service_pod_text_and_severity(self, engine: Engine) -> None:
        log(engine, 1, "Mine FAILED", SeverityText="Error", LogAttributes={"k8s.pod.name": "cart-1"})
        log(engine, 2, "other failed", ServiceName="ad", SeverityText="", SeverityNumber=18)
        log(engine, 3, "named elsewhere", ServiceName="", ResourceAttributes={"service.name": "ad"})
        assert found(engine, service="cart") == ["Mine FAILED"]
        assert found(engine, service="ad") == ["other failed", "named elsewhere"]
        assert found(engine, pod="cart-1") == ["Mine FAILED"]
        assert found(engine, contains="failed") == ["Mine FAILED", "other failed"]
        assert found(engine, severity="ERROR") == ["Mine FAILED", "other failed"]
        assert found(engine, severity="FATAL", service="cart") == []

    def test_severities_are_those_of_recordings(self, engine: Engine) -> None:
        given = [
            (text, number) for text in (*SPELLINGS, "warn2", " Info ", "?", "") for number in (0, 9, 17, 24)
        ]
        for place, (text, number) in enumerate(given):
            log(engine, place / 10, str(place), SeverityText=text, SeverityNumber=number)
        query = f"SELECT {SEVERITY}, toString(SeverityText), toFloat64(SeverityNumber) FROM {LOGS}"
        told = engine.server.rows(query, tuple[str, str, int])
        assert len(told) == len(given)
        assert {(text, number): name for name, text, number in told} == {
            (text, number): severity_of(text, number) for text, number in given
        }

    @pytest.mark.parametrize("evil", EVIL)
    def test_whatever_is_looked_for_is_only_looked_for(self, engine: Engine, evil: str) -> None:
        log(engine, 1, "plain")
        for wanted in ("service", "pod", "severity", "contains"):
            assert found(engine, **{wanted: evil}) == []
        if evil.isprintable():
            log(
                engine,
                2,
                f"before {evil.lower()} after",
                ServiceName=evil,
                LogAttributes={"k8s.pod.name": "p"},
            )
            assert len(found(engine, contains=evil)) == len(found(engine, service=evil)) == 1

    def test_a_long_text_is_looked_for_to_its_end(self, engine: Engine) -> None:
        log(engine, 1, "a" * 1500 + "b")
        assert len(found(engine, contains="a" * 1500 + "B")) == 1
        assert found(engine, contains="a" * 1500 + "c") == []
        assert found(engine, contains="a" * 400_000) == []

    def test_long_bodies_are_cut(self, engine: Engine) -> None:
        log(engine, 1, "é" * 10_000)
        (body,) = found(engine)
        assert body.startswith("ééé")
        assert len(body) <= tables.BODY_BYTES


class TestCallPaths:
    def test_a_path_goes_through_services_and_ends_where_it_failed(self, engine: Engine) -> None:
        root = span(engine, "t1", "frontend")
        out = span(engine, "t1", "frontend", root, SpanKind="Client", Duration=70_000_000)
        broken = {"StatusCode": "Error", "StatusMessage": "cart is full"}
        inner = span(engine, "t1", "cart", out, Duration=60_000_000, **broken)
        span(
            engine,
            "t1",
            "cart",
            inner,
            SpanKind="SPAN_KIND_CLIENT",
            SpanAttributes={"server.address": "valkey-cart.x"},
        )
        span(engine, "t2", "frontend")
        assert paths(engine) == {
            ("frontend",): (2, 0),
            ("frontend", "cart"): (1, 1),
            ("frontend", "cart", "valkey-cart"): (1, 0),
        }
        failed = SpanTable(engine.server, TRACES).call_paths(BEGIN, BEGIN + 100)[1]
        assert (failed.operation, failed.p95_ms, failed.sample_error) == ("Get", 70.0, "cart is full")

    def test_a_trace_that_began_before_the_window_keeps_its_path(self, engine: Engine) -> None:
        root = span(engine, "t1", "frontend", second=5)
        span(engine, "t1", "cart", root, second=15)
        assert paths(engine, low=10) == {("frontend", "cart"): (1, 0)}
        assert paths(engine, low=20) == {}

    def test_of_too_many_spans_whole_traces_are_drawn_and_count_for_all(
        self, engine: Engine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(60):
            root = span(engine, f"trace {number}", "frontend")
            span(engine, f"trace {number}", "cart", root, StatusCode="Error")
        assert paths(engine) == {("frontend",): (60, 0), ("frontend", "cart"): (60, 60)}
        monkeypatch.setattr(tables, "SPANS", 40)
        drawn = paths(engine)
        assert drawn.keys() == {("frontend",), ("frontend", "cart")}
        assert drawn["frontend",][0] % 3 == 0
        assert 15 <= drawn["frontend",][0] == drawn["frontend", "cart"][1] <= 150

    def test_nothing_is_no_path(self, engine: Engine) -> None:
        assert paths(engine) == {}


class TestRefusals:
    def test_an_absent_table_is_named(self, engine: Engine) -> None:
        with pytest.raises(InfrastructureError, match=r"ClickHouse at http.*otel_absent_logs"):
            recent(engine.server, "otel_absent_logs", BEGIN)

    def test_rows_from_a_time_on_are_counted(self, engine: Engine) -> None:
        log(engine, 1, "x")
        log(engine, 50, "y")
        assert (recent(engine.server, LOGS, BEGIN), recent(engine.server, LOGS, BEGIN + 20)) == (2, 1)


@pytest.mark.clickhouse
@pytest.mark.parametrize("running", ["debian"], indirect=True)
class TestServer:
    """What only a server has: users and settings."""

    @pytest.fixture
    def server(self, engine: Engine) -> ClickHouse:
        return engine.server

    def test_a_wrong_password_is_refused_and_not_shown(self, server: ClickHouse) -> None:
        with pytest.raises(InfrastructureError, match="Wrong password for user sre") as refused:
            recent(server._replace(password="another"), LOGS, BEGIN)
        assert "another" not in str(refused.value)
        with pytest.raises(InfrastructureError, match="Password required for user sre"):
            recent(server._replace(password=""), LOGS, BEGIN)

    def test_the_server_refuses_to_write(self, server: ClickHouse) -> None:
        with pytest.raises(InfrastructureError, match="readonly"):
            server.rows(f"DROP TABLE {LOGS}", tuple[int])
        with pytest.raises(InfrastructureError, match="readonly"):
            server._replace(user="reader", password="").rows(f"DROP TABLE {LOGS}", tuple[int])

    @pytest.mark.parametrize("user", ["reader", "settler"])
    def test_a_profile_that_is_read_only_reads(self, engine: Engine, server: ClickHouse, user: str) -> None:
        log(engine, 1, "x")
        assert recent(server._replace(user=user, password=""), LOGS, BEGIN) == 1

    def test_a_query_that_takes_long_is_given_up_by_the_server(
        self, server: ClickHouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from harness.environments.kubernetes.sources import clickhouse

        monkeypatch.setitem(clickhouse.SETTINGS, "max_execution_time", 1)
        with pytest.raises(InfrastructureError, match="Timeout exceeded"):
            server.rows("SELECT count() FROM system.numbers", tuple[int])

    def test_an_error_after_the_first_rows_is_an_error(self, server: ClickHouse) -> None:
        with pytest.raises(InfrastructureError, match="non zero"):
            server.rows("SELECT throwIf(number > 3000000) FROM numbers(5000000)", tuple[int])
