"""What becomes of servers that do not answer as they should, and what is sent to them."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from harness.environments.kubernetes.prometheus import Prometheus
from harness.environments.kubernetes.sources import web
from harness.environments.kubernetes.sources.clickhouse import ClickHouse, text
from harness.environments.kubernetes.sources.jaeger import Jaeger
from harness.environments.kubernetes.sources.tables import LogTable
from harness.errors import InfrastructureError
from tests.sources.local import Answer, Asked, serving

SECRET = "very secret 0123456789"
ASKS: dict[str, Callable[[str], Any]] = {
    "ClickHouse": lambda url: ClickHouse(url, "sre", SECRET).rows("SELECT 1", tuple[int]),
    "Jaeger": lambda url: Jaeger(url).services(),
    "Prometheus": lambda url: Prometheus(url).instant("up", 1.0),
}


@pytest.fixture(params=ASKS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestFailures:
    """The same for all servers: an InfrastructureError that names the server."""

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Answer(b"out of\nmemory", status=500), "HTTP Error 500: Internal Server Error: out of memory"),
            (Answer(b"", status=503), "HTTP Error 503"),
            (Answer(b"<html>a gateway's page</html>"), "not the expected answer"),
            (Answer(b""), "not the expected answer"),
            (Answer(b"[]"), "not the expected answer"),
            (Answer(b'{"data": 7}'), "not the expected answer"),
            (Answer(b'{"data": [', promised=100), "IncompleteRead|not the expected answer"),
            (Answer(b"", status=302, headers={"Location": "file:///etc/hostname"}), "HTTP Error 302"),
        ],
    )
    def test_an_answer_that_is_none(self, server: str, answer: Answer, said: str) -> None:
        with serving(lambda _: answer) as url, pytest.raises(InfrastructureError, match=said) as refused:
            ASKS[server](url)
        assert refused.value.detail.startswith(f"{server} at {url}")

    def test_nobody_answers(self, server: str) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{bound.getsockname()[1]}"
            with pytest.raises(InfrastructureError, match="refused"):
                ASKS[server](url)

    def test_an_answer_that_drips_is_not_waited_for(
        self, server: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web, "TIMEOUT_S", 0.3)
        slow = Answer(b'{"data": []}' + b" " * 100, drip_s=0.05)
        with serving(lambda _: slow) as url, pytest.raises(InfrastructureError, match=r"within 0\.3 s"):
            ASKS[server](url)

    def test_an_answer_that_does_not_begin(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web, "TIMEOUT_S", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(InfrastructureError, match="timed out"):
                ASKS[server](url)

    def test_an_answer_that_does_not_end(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web, "MOST_BYTES", 1000)
        with (
            serving(lambda _: Answer(b" " * 5000)) as url,
            pytest.raises(InfrastructureError, match="longer"),
        ):
            ASKS[server](url)

    def test_an_address_that_is_none(self, server: str) -> None:
        with pytest.raises(InfrastructureError, match=server):
            ASKS[server]("http://host:port")


class TestSecrets:
    def test_the_password_is_sent_in_a_header_and_to_no_other_server(self) -> None:
        asked: list[Asked] = []

        def elsewhere(one: Asked) -> Answer:
            asked.append(one)
            return Answer(b"{}")

        def first(one: Asked) -> Answer:
            asked.append(one)
            return Answer(b"", status=302, headers={"Location": f"{other}/stolen"})

        with serving(elsewhere) as other, serving(first) as url, pytest.raises(InfrastructureError):
            ASKS["ClickHouse"](url)
        sent, stolen = asked
        assert {key.lower(): value for key, value in sent.headers.items()}["x-clickhouse-key"] == SECRET
        assert SECRET not in f"{sent.path}{sent.parameters}{sent.body}"
        assert SECRET not in str(stolen)

    @pytest.mark.parametrize("status", [200, 403])
    def test_a_server_that_repeats_the_password_is_masked(self, status: int) -> None:
        said = Answer(f"wrong: {SECRET}".encode(), status=status)
        with serving(lambda _: said) as url, pytest.raises(InfrastructureError) as refused:
            ASKS["ClickHouse"](url)
        assert SECRET not in str(refused.value)
        assert "wrong: ***" in str(refused.value)

    def test_it_is_not_shown(self) -> None:
        assert SECRET not in repr(ClickHouse("http://x", "sre", SECRET))


class TestClickHouse:
    def test_queries_are_bounded_and_read_only(self) -> None:
        asked: list[Asked] = []

        def reply(one: Asked) -> Answer:
            asked.append(one)
            return Answer(json.dumps({"data": [[1.5, "ad", "", "INFO", "said"]]}).encode())

        with serving(reply) as url:
            table = LogTable(ClickHouse(f"{url}/clickhouse/main/", database="x"), "my_logs")
            (record,) = table.matching("a'd", "", 1000.25, 2000.5, "said", 7, "")
        assert (record.time, record.body) == (1.5, "said")
        (one,) = asked
        assert one.path == "/clickhouse/main/"
        assert (
            one.parameters | {"readonly": "2", "max_execution_time": "15", "database": "x"} == one.parameters
        )
        assert (
            "FROM my_logs WHERE Timestamp >= toDateTime(1000) AND Timestamp <= toDateTime(2001)" in one.body
        )
        assert "BETWEEN 1000.250000 AND 2000.500000" in one.body
        assert "LIMIT 7" in one.body
        assert "a'd" not in one.body

    @pytest.mark.parametrize(
        ("refusal", "asked_again"),
        [
            ("Cannot modify 'readonly' setting in readonly mode. (READONLY)", True),
            ("Cannot execute query in readonly mode. (READONLY)", False),
        ],
    )
    def test_only_a_refusal_of_settings_is_answered_by_asking_without_them(
        self, refusal: str, asked_again: bool
    ) -> None:
        asked: list[Asked] = []

        def reply(one: Asked) -> Answer:
            asked.append(one)
            said = f"Code: 164. DB::Exception: {refusal}".encode()
            return Answer(said, status=500) if "readonly" in one.parameters else Answer(b'{"data": []}')

        with serving(reply) as url:
            if asked_again:
                assert ClickHouse(url).rows("SELECT 1", tuple[int]) == []
            else:
                with pytest.raises(InfrastructureError, match="Cannot execute"):
                    ClickHouse(url).rows("SELECT 1", tuple[int])
        assert len(asked) == 1 + asked_again

    def test_bytes_that_are_no_text_are_shown_as_such(self) -> None:
        with serving(lambda _: Answer(b'{"data": [["\xff\xfe ok"]]}')) as url:
            assert ClickHouse(url).rows("SELECT 1", tuple[str]) == [("\ufffd\ufffd ok",)]

    def test_rows_of_other_types_are_an_error(self) -> None:
        said = Answer(b'{"data": [["text"]]}')
        with serving(lambda _: said) as url, pytest.raises(InfrastructureError, match="Expected `int`"):
            ClickHouse(url).rows("SELECT 1", tuple[int])

    @pytest.mark.parametrize("value", ["", "'", "\\", "a\0b", "é☃", "\ud800", "') --"])
    def test_a_text_is_hexadecimal_digits(self, value: str) -> None:
        written = text(value)
        assert written.startswith("unhex('")
        assert bytes.fromhex(written[7:-2]) == value.encode(errors="replace")
