"""HTTP as far as the shop needs it, and what goes wrong on a network in the words of its callers."""

import re
import socket
import threading
from collections.abc import Callable
from typing import BinaryIO

Headers = dict[str, str]
Answer = Callable[[str, Headers, str], tuple[str, str]]
"""(target, headers, address of the caller) -> (status line, body)."""


class Failure(Exception):
    """A request that cannot be served; the text goes to the caller."""


def read_message(stream: BinaryIO) -> tuple[str | None, Headers, bytes]:
    """(first line, headers, body) of a request or an answer; (None, {}, b"") at the end of the stream."""
    first = stream.readline(4096).decode("latin-1").strip()
    headers = {}
    while line := stream.readline(4096).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first or None, headers, stream.read(int(headers.get("content-length") or 0))


def serve(port: int, answer: Answer) -> None:
    """Answer each request on a port in a thread of its own, for ever."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(128)
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=_answer, args=(connection, peer[0], answer), daemon=True).start()


def _answer(connection: socket.socket, peer: str, answer: Answer) -> None:
    with connection:
        try:
            connection.settimeout(30)
            with connection.makefile("rb") as stream:
                first, headers, _ = read_message(stream)
            if first is None:
                return
            status, body = answer(first.split(" ")[1], headers, peer)
            data = body.encode()
            length = f"Content-Length: {len(data)}\r\nConnection: close"
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{length}\r\n\r\n"
            connection.sendall(head.encode("latin-1") + data)
        except (OSError, IndexError, ValueError):
            return


def connect(host: str, port: int, timeout: float) -> socket.socket:
    """A connection. Raises Failure where the name does not resolve, OSError where nobody answers."""
    name = (host or "(empty)").encode("ascii", "replace")  # bytes: no IDNA tables in memory
    try:
        address = socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_STREAM)[0][4]
    except OSError:
        raise Failure(f"name resolution failure: lookup {host or '(empty address)'}: no such host") from None
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def ask(host: str, port: int, target: str, headers: Headers, timeout: float) -> str:
    """The body of the answer of another workload. Raises Failure in the words of its error or of the network."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        with connect(host, port, timeout) as connection:
            head = f"POST /{target.replace(' ', '%20')} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: 0\r\n\r\n"
            connection.sendall(head.encode("latin-1", "replace"))
            with connection.makefile("rb") as stream:
                first, _, body = read_message(stream)
    except TimeoutError:
        raise Failure(f"DeadlineExceeded: {host}:{port} did not answer in time") from None
    except OSError as error:
        reason = (
            "connection refused"
            if isinstance(error, ConnectionRefusedError)
            else (error.strerror or "closed")
        )
        raise Failure(f"Unavailable: dial tcp {host}:{port}: connect: {reason.lower()}") from None
    if first is None or " 200" not in first:
        raise Failure(body.decode(errors="replace") or "Unavailable: the connection was closed")
    return body.decode(errors="replace")


def parse_address(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of `host:port`, a URL or a database connection string. A port that is no number is 0."""
    dsn = re.search(r"host=([^;\s]+)", text, re.IGNORECASE)
    if dsn is not None:
        port = re.search(r"port=(\d+)", text, re.IGNORECASE)
        return dsn[1], int(port[1]) if port else default_port
    rest = text.partition("://")[2] or text
    host, _, number = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0].partition(":")
    if not number:
        return host, default_port
    return host, int(number) if number.isdigit() else 0
