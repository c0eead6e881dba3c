"""Which source answers, what the configuration takes, and what `doctor` and a run say of sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from harness.config import EnvironmentConfig, ExecutorConfig, ExperimentConfig, parse_config
from harness.doctor.metrics_check import check_metrics
from harness.environments import environment_session
from harness.environments.kubernetes.history import History
from harness.environments.kubernetes.logs import ContainerLogs
from harness.environments.kubernetes.prometheus import Prometheus, PrometheusTelemetry, SpanMetrics
from harness.environments.kubernetes.sources.choice import examine, log_source, path_source
from harness.environments.kubernetes.sources.jaeger import JaegerPaths
from harness.environments.kubernetes.sources.tables import LogTable, SpanTable
from harness.errors import ConfigurationError, InfrastructureError
from harness.executors.cluster import credentials_of
from harness.live_config import AttachedConfig, KubernetesConfig
from scenarios.applications import load_application
from tests.sources.local import Answer, Asked, serving

SHOP = load_application("otel-demo")
PROMETHEUS, CLICKHOUSE, JAEGER = "http://prometheus", "http://clickhouse", "http://jaeger"
SECRET = "very secret 0123456789"


class Monitoring:
    """All of an application's monitoring behind one address."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.rows = 5
        self.services = ["ad", "cart", "jaeger"]

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        data: Any = [[self.rows]]
        if asked.path == "/api/services":
            data = self.services
        elif asked.path == "/api/v1/query":
            data = {"result": [{"metric": {}, "value": [0, "1"]}]}
        elif "SELECT toFloat64(count())" not in asked.body:
            data = []
        return Answer(json.dumps({"data": data}).encode())


@pytest.fixture
def monitoring() -> Monitoring:
    return Monitoring()


@pytest.fixture
def url(monitoring: Monitoring) -> Iterator[str]:
    with serving(monitoring) as address:
        yield address


def config(**attached: Any) -> ExperimentConfig:
    settings = KubernetesConfig(attached=AttachedConfig(**{"prometheus": PROMETHEUS, **attached}))
    return ExperimentConfig(
        name="attached",
        question="Is it read?",
        scenario=(30,),
        environment=EnvironmentConfig(kind="attached", kubernetes=settings),
        agents={"react": {"kind": "react"}},
        models={"sim": {"kind": "simulated"}},
        arms={"baseline": ()},
        executor=ExecutorConfig(kind="local"),
    )


class TestChoice:
    @pytest.mark.parametrize(
        ("configured", "logs", "paths"),
        [
            ({}, None, SpanMetrics),
            ({"jaeger": JAEGER}, None, JaegerPaths),
            ({"clickhouse": CLICKHOUSE}, LogTable, SpanTable),
            ({"clickhouse": CLICKHOUSE, "jaeger": JAEGER}, LogTable, SpanTable),
        ],
    )
    def test_clickhouse_before_jaeger_before_span_metrics(
        self, configured: dict[str, str], logs: type | None, paths: type
    ) -> None:
        settings = AttachedConfig(prometheus=PROMETHEUS, **configured)
        found = log_source(settings, SHOP)
        assert found is None if logs is None else isinstance(found, logs)
        assert isinstance(path_source(settings, SHOP), paths)

    @pytest.mark.parametrize(
        ("named", "application", "tables"),
        [
            ({}, "otel-demo", ("otel_demo_logs", "otel_demo_traces")),
            ({}, "book-info", ("book_info_logs", "book_info_traces")),
            ({"clickhouse_logs": "a", "clickhouse_traces": "b"}, "otel-demo", ("a", "b")),
        ],
    )
    def test_tables_are_named_after_the_namespace_unless_configured(
        self,
        url: str,
        monitoring: Monitoring,
        named: dict[str, str],
        application: str,
        tables: tuple[str, ...],
    ) -> None:
        settings = AttachedConfig(prometheus=PROMETHEUS, clickhouse=url, clickhouse_database="other", **named)
        examine(settings, load_application(application), 1000.0)
        assert [asked.body.split()[3] for asked in monitoring.asked] == list(tables)
        assert {asked.parameters["database"] for asked in monitoring.asked} == {"other"}


class TestConfiguration:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("clickhouse", "clickhouse:8123"),
            ("jaeger", "file:///etc/passwd"),
            ("clickhouse", "http://sre:secret@host"),
            ("jaeger", "https://secret@host/jaeger"),
            ("prometheus", "http://sre:secret@host"),
            ("clickhouse_logs", "logs; DROP TABLE x"),
            ("clickhouse_traces", "system.users"),
            ("clickhouse_database", "a`b"),
            ("clickhouse_password_env", "not a name"),
            ("clickhouse_password", "secret"),
        ],
    )
    def test_what_is_refused(self, field: str, value: str) -> None:
        with pytest.raises(ValidationError, match=field):
            AttachedConfig(**{"prometheus": PROMETHEUS, field: value})

    @pytest.mark.parametrize("field", ["clickhouse", "jaeger", "prometheus"])
    def test_a_password_in_an_address_is_not_repeated(self, field: str) -> None:
        raw = config().model_dump(mode="json")
        raw["environment"]["kubernetes"]["attached"][field] = f"http://sre:{SECRET}@host"
        with pytest.raises(ConfigurationError, match="holds credentials") as refused:
            parse_config(raw)
        assert SECRET not in str(refused.value)

    def test_the_password_is_in_no_configuration(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MONITORING", SECRET)
        experiment = config(clickhouse=CLICKHOUSE, clickhouse_password_env="MONITORING")
        assert SECRET not in experiment.model_dump_json()
        assert credentials_of(experiment) == {"MONITORING": SECRET}

    def test_a_password_that_is_not_there_is_told_before_anything_runs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("MONITORING", raising=False)
        experiment = config(clickhouse=CLICKHOUSE, clickhouse_password_env="MONITORING")
        with (
            pytest.raises(ConfigurationError, match="MONITORING is not set"),
            environment_session(experiment),
        ):
            pass


class TestDoctor:
    def told(self, **attached: Any) -> list[tuple[str, str]]:
        return [(one.check, one.status) for one in check_metrics(config(**attached))]

    def test_only_what_is_configured_is_asked(self, url: str) -> None:
        assert self.told(prometheus=url) == [("metrics", "ok")]
        both = self.told(prometheus=url, clickhouse=url, jaeger=url)
        assert both == [("metrics", "ok"), ("clickhouse", "ok"), ("clickhouse", "ok"), ("jaeger", "ok")]

    def test_what_is_empty_has_failed(self, url: str, monitoring: Monitoring) -> None:
        monitoring.rows, monitoring.services = 0, ["jaeger"]
        told = self.told(prometheus=url, clickhouse=url, jaeger=url)
        assert [status for _, status in told] == ["ok", "failed", "failed", "failed"]

    def test_what_does_not_answer_has_failed(self, url: str) -> None:
        for field in ("clickhouse", "jaeger"):
            with serving(lambda _: Answer(b"no", status=500)) as broken:
                finding = check_metrics(config(prometheus=url, **{field: broken}))[-1]
            assert (finding.check, finding.status) == ("traces and logs", "failed")
            assert f"{broken}: HTTP Error 500" in finding.what

    def test_a_password_that_is_not_there(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MONITORING", raising=False)
        (*_, finding) = check_metrics(
            config(prometheus=url, clickhouse=url, clickhouse_password_env="MONITORING")
        )
        assert (finding.status, "MONITORING is not set" in finding.what) == ("failed", True)

    def test_it_shows_no_password(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MONITORING", SECRET)
        for place in (url, "http://127.0.0.1:1"):
            found = check_metrics(
                config(prometheus=url, clickhouse=place, clickhouse_password_env="MONITORING")
            )
            assert SECRET not in str(found)


class Clock:
    """A cluster of which only the time is asked."""

    def now(self) -> float:
        return 2000.0


class Monitor:
    """Saw nothing."""

    def __init__(self) -> None:
        self.history = History()


class TestTelemetry:
    def telemetry(self, url: str, **attached: Any) -> PrometheusTelemetry:
        settings = AttachedConfig(prometheus=url, **attached)
        cluster: Any = Clock()
        monitor: Any = Monitor()
        logs = log_source(settings, SHOP) or ContainerLogs(cluster, SHOP)
        paths = path_source(settings, SHOP)
        return PrometheusTelemetry(Prometheus(url), monitor, cluster, SHOP, 120, logs, paths, 1000.0)

    @pytest.mark.parametrize(
        ("start", "end", "low", "high"),
        [(None, None, 1000, 2000), (0, 1e12, 1000, 2000), (1500, 1600, 1500, 1600), (1900, 1800, 1800, 1800)],
    )
    def test_a_window_is_the_trials_and_never_the_wrong_way_round(
        self, url: str, monitoring: Monitoring, start: Any, end: Any, low: int, high: int
    ) -> None:
        telemetry = self.telemetry(url, clickhouse=url)
        assert telemetry.logs(start=start, end=end) == []
        assert f"BETWEEN {low}.000000 AND {high}.000000" in monitoring.asked[-1].body

    def test_an_empty_window_asks_nobody_for_paths(self, url: str, monitoring: Monitoring) -> None:
        for configured in ({}, {"clickhouse": url}, {"jaeger": url}):
            assert self.telemetry(url, **configured).call_paths(0, 10) == ()
        assert monitoring.asked == []

    @pytest.mark.parametrize("target", ['x"}) or vector(1)', "a\\", "", "\ud800"])
    def test_a_name_that_no_object_can_have_is_not_asked_for(
        self, url: str, monitoring: Monitoring, target: str
    ) -> None:
        assert self.telemetry(url).metrics(target) == []
        assert monitoring.asked == []

    def test_what_fails_is_no_fault_of_the_agents(self, url: str) -> None:
        with serving(lambda _: Answer(b"", status=500)) as broken:
            telemetry = self.telemetry(url, clickhouse=broken)
            with pytest.raises(InfrastructureError):
                telemetry.logs()
            with pytest.raises(InfrastructureError):
                telemetry.call_paths()
