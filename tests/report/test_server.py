"""The report's server: every trace, and nothing else, to nobody but this machine."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.records import TrialRecord
from harness.report import write_reports
from harness.report.server import ReportServer
from tests.report.factory import handmade, stored_run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportServer]:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.txt").write_text("secret")
    stored = stored_run(outside / "run")
    write_reports(stored.path, stored.read_plan(), stored.records(), stored.packed_trace)
    with ReportServer(stored.path) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(
    server: ReportServer, path: str, method: str = "GET", host: str = ""
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, answer.read(), dict(answer.headers)
    connection.close()
    return found


def test_it_listens_on_loopback_only(server: ReportServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_the_page_and_its_tables_are_served_with_safe_headers(server: ReportServer) -> None:
    status, page, headers = ask(server, "/")
    assert (status, page) == (200, ask(server, "/report.html")[1])
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert json.loads(ask(server, "/results.json")[1])["experiment"] == "verifier_gate"
    assert ask(server, "/", "HEAD")[:2] == (200, b"")


def test_every_trace_is_served_by_its_number(server: ReportServer) -> None:
    frozen, records = handmade()
    for number, record in enumerate(records):
        status, content, _ = ask(server, f"/trace/{number}.js")
        assert status == 200
        ((found, said, _),) = json.loads(content.removeprefix(b"harnessTraces(").removesuffix(b");\n"))
        assert found == number
        read = TrialRecord.model_validate_json(gzip.decompress(base64.b64decode(said)))
        assert read.spec == record.spec == frozen.trials[number]
    assert ask(server, f"/trace/{len(records)}.js")[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/report_files/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd",
        "/report_files/..%2f..%2fsecret.txt", "/plan.json", "/records.jsonl", "/.lock", "/traces/00000.jsonl.gz",
        "/trace/../../secret.txt", "/trace/-1.js", "/trace/1.js/..", "/report_files/", "/report.html/", "/tables/..",
    ],
)  # fmt: skip
def test_nothing_else_can_be_reached(server: ReportServer, path: str) -> None:
    status, content, _ = ask(server, path)
    assert status == 404
    assert b"secret" not in content.replace(b"secret.txt", b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_written(server: ReportServer, method: str) -> None:
    assert ask(server, "/report.html", method)[0] == 501


def test_a_foreign_page_that_points_its_name_here_is_refused(server: ReportServer) -> None:
    assert ask(server, "/", host="evil.example")[0] == 403
    assert ask(server, "/", host=f"localhost:{server.server_port}")[0] == 200


def test_a_run_without_a_report_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="harness report"):
        ReportServer(tmp_path)
