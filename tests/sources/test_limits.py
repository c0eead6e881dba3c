"""What is too much for one query is told to the agent that asked; any other refusal ends the attempt."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.environments.kubernetes.prometheus import Prometheus
from harness.environments.kubernetes.sources import web
from harness.environments.kubernetes.sources.clickhouse import ClickHouse
from harness.environments.kubernetes.sources.jaeger import Jaeger
from harness.errors import CAUSES, InfrastructureError, Unanswered
from harness.tools.toolbox import TOO_MUCH, Toolbox
from tests.sources.local import Answer, serving

ASKS: dict[str, Callable[[str], Any]] = {
    "ClickHouse": lambda url: ClickHouse(url).rows("SELECT 1", tuple[int]),
    "Jaeger": lambda url: Jaeger(url).services(),
    "Prometheus": lambda url: Prometheus(url).instant("up", 1.0),
}


class Now:
    """A cluster of which only the time is asked."""

    def now(self) -> float:
        return 2000.0


class Logs:
    """Telemetry whose log records are in ClickHouse."""

    def __init__(self, url: str) -> None:
        self._url = url

    def logs(self, *_: Any, **__: Any) -> Any:
        return ASKS["ClickHouse"](self._url)


def call(url: str) -> Any:
    """What an agent's log search comes to."""
    cluster: Any = Now()
    telemetry: Any = Logs(url)
    return Toolbox(cluster, telemetry, ["shop"]).call("log_analysis", {"k8_object": "cart"})


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "said",
    [
        "Code: 159. DB::Exception: Timeout exceeded: elapsed 15.1 seconds",
        "Code: 241, e.displayText() = DB::Exception: Memory limit (for query) exceeded",
        '{"exception": "Code: 241. DB::Exception: (total) memory limit exceeded"}',
        "Code: 396. DB::Exception: Limit for result exceeded",
    ],
)
def test_a_query_over_the_servers_limits_is_told_to_the_agent(said: str) -> None:
    with serving(lambda _: Answer(said.encode(), status=500)) as url:
        outcome = call(url)
        assert (outcome.ok, outcome.text) == (False, f"Error: {TOO_MUCH}")
        with pytest.raises(Unanswered, match="Code: "):
            ASKS["ClickHouse"](url)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Code: 60. DB::Exception: Table x doesn't exist", 404),
        ("Code: 516. DB::Exception: sre: Authentication failed", 403),
        ("no healthy upstream", 503),
    ],
)
def test_other_refusals_end_the_attempt(said: str, status: int) -> None:
    answer = Answer(said.encode(), status=status)
    with serving(lambda _: answer) as url, pytest.raises(InfrastructureError) as ended:
        call(url)
    assert not isinstance(ended.value, Unanswered)
    assert ended.value.cause == "infra_monitoring_failed"
    assert CAUSES[ended.value.cause].grade == "exclude"


@pytest.mark.parametrize("server", ASKS)
class TestAllServers:
    def test_a_silent_one(self, server: str, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web, "TIMEOUT_S", 0.2)
        with pytest.raises(Unanswered, match="timed out"):
            ASKS[server](silent)

    def test_too_long_an_answer(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web, "MOST_BYTES", 1000)
        with serving(lambda _: Answer(b" " * 5000)) as url, pytest.raises(Unanswered, match="longer"):
            ASKS[server](url)

    def test_a_gateway_that_gave_up(self, server: str) -> None:
        with serving(lambda _: Answer(b"", status=504)) as url, pytest.raises(Unanswered, match="504"):
            ASKS[server](url)

    def test_nobody_there_ends_the_attempt(self, server: str) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            with pytest.raises(InfrastructureError, match="infra_monitoring_failed") as ended:
                ASKS[server](f"http://127.0.0.1:{bound.getsockname()[1]}")
        assert not isinstance(ended.value, Unanswered)


def test_a_query_that_needs_too_many_samples() -> None:
    said = (
        b'{"status":"error","errorType":"execution","error":"query processing would load too many samples"}'
    )
    with serving(lambda _: Answer(said, status=422)) as url, pytest.raises(Unanswered, match="samples"):
        ASKS["Prometheus"](url)
