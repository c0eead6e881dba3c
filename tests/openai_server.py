"""A real OpenAI-compatible HTTP server on loopback, whose behaviour is chosen by name.

    python tests/openai_server.py --port 8000 [--behaviour scripted]

A request whose model carries the name of a behaviour (`openai/garbage`) gets that one; any other gets the
server's own. In tests: `with OpenAIServer() as server: ... server.api_base ... server.requests`.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.scripted_sre import next_call

Json = dict[str, Any]
FAILURES_BEFORE_OK = 2
CACHED_SHARE = 0.5
BROKEN_ARGUMENTS = '{"namespace": "otel-demo", "kind": '


class Answer(NamedTuple):
    """What goes over the wire."""

    body: Any
    """JSON, or bytes as they are."""
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class Received(NamedTuple):
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Json:
        """The request's JSON."""
        return json.loads(self.raw)


Behaviour = Callable[["OpenAIServer", Json, int], Answer]
"""Answers one chat request; the last argument counts the requests for this behaviour from 1."""


def completion(body: Json, message: Json, finish: str = "stop") -> Json:
    """A chat completion; tokens are counted as four characters each, half of the prompt as cached."""
    prompt = len(json.dumps(body["messages"])) // 4
    written = max(len(json.dumps(message)) // 4, 1)
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": int(prompt * CACHED_SHARE)},
        },
    }


def error(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """An error in OpenAI's form."""
    return Answer({"error": {"message": message, "type": "error", "code": code}}, status, headers)


def tool_call(body: Json, name: str, arguments: str) -> Answer:
    """A reply that calls one tool."""
    call = {"id": f"call_{len(body['messages'])}", "type": "function"}
    message = {"content": None, "tool_calls": [{**call, "function": {"name": name, "arguments": arguments}}]}
    return Answer(completion(body, message, "tool_calls"))


def scripted(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A small competent SRE."""
    step = next_call(body["messages"], body.get("tools", []))
    if step is None:
        return Answer(completion(body, {"content": "Nothing is left to do."}))
    return tool_call(body, step[0], json.dumps(step[1]))


def reasoning(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Text with its reasoning beside it."""
    return Answer(completion(body, {"content": "Two and two is four.", "reasoning_content": "I counted."}))


def garbage(server: OpenAIServer, body: Json, count: int) -> Answer:
    """JSON that is no completion."""
    return Answer({"hello": "world"})


def not_json(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A proxy's error page under status 200."""
    return Answer(b"<html>Bad gateway</html>", headers={"content-type": "text/html"})


def empty(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Neither text nor calls."""
    return Answer(completion(body, {"content": None}))


def broken_json_arguments(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A tool call whose arguments are cut off."""
    tools = body.get("tools") or [{"function": {"name": "kubectl_get"}}]
    return tool_call(body, tools[0]["function"]["name"], BROKEN_ARGUMENTS)


def no_usage(server: OpenAIServer, body: Json, count: int) -> Answer:
    """An endpoint that does not count tokens."""
    reply = completion(body, {"content": "word " * 400})
    del reply["usage"]
    return Answer(reply)


def http_500(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Never works."""
    return error(500, "the server had an error")


def http_500_then_ok(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Works from the third request on."""
    return http_500(server, body, count) if count <= FAILURES_BEFORE_OK else scripted(server, body, count)


def rate_limited(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Asks to come back later, once."""
    if count == 1:
        return error(
            429, "rate limit reached", "rate_limit_exceeded", **{"retry-after": str(server.retry_after_s)}
        )
    return scripted(server, body, count)


def no_credit(server: OpenAIServer, body: Json, count: int) -> Answer:
    """429 that no waiting cures."""
    return error(429, "You exceeded your current quota", "insufficient_quota")


def timeout(server: OpenAIServer, body: Json, count: int) -> Answer:
    """Answers long after everybody left."""
    server.closing.wait(server.delay_s)
    return scripted(server, body, count)


def refuse(server: OpenAIServer, body: Json, count: int) -> Answer:
    """The key is wrong, and the server quotes it."""
    return error(401, f"Incorrect API key provided: {server.last_key}", "invalid_api_key")


def not_found(server: OpenAIServer, body: Json, count: int) -> Answer:
    """No such model."""
    return error(404, f"The model `{body['model']}` does not exist")


def bad_request(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A parameter that the server does not take."""
    return error(400, "Unsupported parameter: 'tools'")


def too_long(server: OpenAIServer, body: Json, count: int) -> Answer:
    """The conversation does not fit."""
    text = (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    )
    return error(400, text, "context_length_exceeded")


CHAT: tuple[Behaviour, ...] = (
    *(scripted, reasoning, garbage, not_json, empty, broken_json_arguments, no_usage),
    *(http_500, http_500_then_ok, rate_limited, no_credit, timeout),
    *(refuse, not_found, bad_request, too_long),
)
BEHAVIOURS: dict[str, Behaviour] = {behaviour.__name__: behaviour for behaviour in CHAT}


class OpenAIServer:
    """The server and its log. A context manager; the port is free to choose (0: any)."""

    def __init__(self, behaviour: str = "scripted", host: str = "127.0.0.1", port: int = 0) -> None:
        self.behaviour = behaviour
        self.retry_after_s = 0.3
        self.delay_s = 30.0
        self.latency_s = 0.0
        """Before every answer."""
        self.billed: list[Json] = []
        """Usage of every completion that was sent."""
        self.flying = self.most_flying = 0
        """Requests at a time."""
        self.requests: list[Received] = []
        self.times: list[float] = []
        self.closing = threading.Event()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = _HTTPServer((host, port), _handler_for(self))

    @property
    def api_base(self) -> str:
        """What a client is configured with."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    @property
    def last_key(self) -> str:
        """The key of the latest request."""
        return self.requests[-1].headers.get("authorization", "").removeprefix("Bearer ")

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()

    def serve(self) -> None:
        """Serve until interrupted."""
        self._http.serve_forever()

    def answer(self, received: Received) -> Answer:
        """Log a chat request and answer it."""
        body = received.body
        name = body["model"] if body["model"] in BEHAVIOURS else self.behaviour
        with self._lock:
            self.requests.append(received)
            self.times.append(time.monotonic())
            self._counts[name] += 1
            count = self._counts[name]
            self.flying += 1
            self.most_flying = max(self.most_flying, self.flying)
        self.closing.wait(self.latency_s)
        answer = BEHAVIOURS[name](self, body, count)
        with self._lock:
            self.flying -= 1
            if isinstance(answer.body, dict) and "usage" in answer.body:
                self.billed.append(answer.body["usage"])
        return answer


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests of timeouts are about; all else is a defect of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler_for(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.rstrip("/").endswith("/models"):
                self._send(
                    Answer(
                        {"object": "list", "data": [{"id": name, "object": "model"} for name in BEHAVIOURS]}
                    )
                )
            else:
                self._send(error(404, f"no such path: {self.path}"))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", 0)))
            if not self.path.endswith("/chat/completions"):
                return self._send(error(404, f"no such path: {self.path}"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            return self._send(server.answer(Received(self.path, headers, raw)))

        def _send(self, answer: Answer) -> None:
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            if __name__ == "__main__":
                super().log_message(format, *arguments)

    return Handler


def main() -> None:
    """Serve in the foreground."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--behaviour", default="scripted", choices=sorted(BEHAVIOURS))
    chosen = parser.parse_args()
    server = OpenAIServer(chosen.behaviour, chosen.host, chosen.port)
    print(f"{server.api_base} ({chosen.behaviour})", flush=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        server.__exit__()


if __name__ == "__main__":
    main()
