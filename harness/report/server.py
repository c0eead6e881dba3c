"""A small server for one run's report: for traces that are not beside the page, and for machines seen over SSH.

Owns: what is served, and to whom. It listens on loopback only, answers GET and HEAD for a closed list of names, and
nobody who was led here under another host name. Nothing can be written, and no path is ever taken from a request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import ConfigurationError, Problem
from harness.records import TrialRecord
from harness.report.index import numbers_of
from harness.report.traces import DIRECTORY, NAME, pack, script
from harness.store import RunDirectory

LOOPBACK = "127.0.0.1"
PAGE = "report.html"
HTML, TEXT, SCRIPT = "text/html; charset=utf-8", "text/plain; charset=utf-8", "text/javascript; charset=utf-8"
FILES = {
    PAGE: HTML,
    "summary.md": TEXT,
    "results.json": "application/json",
    "trials.csv": "text/csv; charset=utf-8",
    "trials.parquet": "application/octet-stream",
}
"""Names that are served beside traces, and as what."""
TRACE = re.compile(r"trace/(\d{1,9})\.js")
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class RunFiles:
    """What a request can name."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def find(self, name: str) -> tuple[str, bytes] | None:
        """Content type and content; None for anything that is not served."""
        if name in FILES:
            return self._read(self._run / name, FILES[name])
        beside, _, file = name.partition("/")
        if beside == DIRECTORY and NAME.fullmatch(file):
            return self._read(self._run / DIRECTORY / file, SCRIPT)
        if (asked := TRACE.fullmatch(name)) and (record := self._records.get(int(asked[1]))):
            entry = pack(record, int(asked[1]), self._stored.packed_trace)
            return SCRIPT, script([entry]).encode()
        return None

    @cached_property
    def _stored(self) -> RunDirectory:
        return RunDirectory(self._run)

    @cached_property
    def _records(self) -> dict[int, TrialRecord]:
        """Number of the trial -> its record."""
        numbers = numbers_of(self._stored.read_plan())
        return {numbers[record.spec.trial_id]: record for record in self._stored.records()}

    def _read(self, path: Path, kind: str) -> tuple[str, bytes] | None:
        try:
            return kind, path.read_bytes()
        except FileNotFoundError:
            return None


class ReportServer(ThreadingHTTPServer):
    """Serves one run. `address` is where a browser finds it."""

    daemon_threads = True

    def __init__(self, run: Path, port: int = 0) -> None:
        """Raises ConfigurationError without a report, or when the port is taken."""
        if not (run / PAGE).is_file():
            hint = f"`python -m harness report {run}` writes it"
            raise ConfigurationError(Problem(str(run), f"there is no {PAGE} here", hint))
        self.files = RunFiles(run)
        try:
            super().__init__((LOOPBACK, port), Handler)
        except OSError as error:
            raise ConfigurationError(Problem(f"port={port}", f"cannot listen: {error}")) from None

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """Host names under which it answers: another one in a request means that a foreign page sent it."""
        return {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; any other method is refused by the base class."""

    server: ReportServer
    server_version = "harness"
    sys_version = ""

    def do_GET(self) -> None:
        """Send what was asked for."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send its headers."""
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        name = urlsplit(self.path).path.removeprefix("/") or PAGE
        found = self.server.files.find(name)
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        kind, content = found
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def end_headers(self) -> None:
        """Every answer carries HEADERS."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *said: Any) -> None:
        """Say nothing: requests are the reader's own."""


def serve_report(run: Path, port: int, tell: Callable[[str], object]) -> None:
    """Serve until interrupted; `tell` is called with the address."""
    with ReportServer(run, port) as server:
        try:
            tell(server.address)
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return
