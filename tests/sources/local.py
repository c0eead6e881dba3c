"""A real HTTP server on this machine that answers as a test says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit


class Asked(NamedTuple):
    """A request."""

    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: str


class Answer(NamedTuple):
    """What comes back."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = {}
    promised: int | None = None
    """Content-Length, where it is not the body's."""
    drip_s: float = 0.0
    """Between two bytes."""


@contextmanager
def serving(reply: Callable[[Asked], Answer]) -> Iterator[str]:
    """The address of a server that answers by `reply`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            parameters = {key: values[0] for key, values in parse_qs(url.query).items()}
            answer = reply(Asked(url.path, parameters, dict(self.headers.items()), body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            promised = len(answer.body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            self.write(answer)

        do_POST = do_GET  # noqa: N815

        def write(self, answer: Answer) -> None:
            try:
                if not answer.drip_s:
                    self.wfile.write(answer.body)
                    return
                for byte in answer.body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(answer.drip_s)
            except OSError:  # whoever asked has had enough
                pass

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
