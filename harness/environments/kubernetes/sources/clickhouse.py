"""ClickHouse's HTTP interface: one reading query at a time.

Owns: how a query is sent, how a text gets into one, the check of an answer's columns. Does not own: which tables
there are (`tables.py`).

Query parameters (`{name:Type}`) came with ClickHouse 19.14, and what a string literal escapes is a matter of
versions. So a text is written as `unhex('...')`: whatever it says, only hexadecimal digits reach the parser.
`readonly=2` has the server itself refuse everything but reading. A user whose profile is read-only may change no
settings: it is asked without them, under the bounds of its profile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import urlencode
from urllib.request import Request

import msgspec

from harness.environments.kubernetes.sources import web
from harness.errors import InfrastructureError, Unanswered

SERVER_S = 15
"""Seconds after which the server gives up a query: before we do, so that nothing goes on unheard."""
SETTINGS = {"readonly": 2, "max_execution_time": SERVER_S}
WHOLE = {"wait_end_of_query": 1}
"""An error after the first rows is then an error's answer, not rows that end with an error's text."""
FIXED = re.compile(r"Cannot (override setting \(\w+\)|modify '\w+' setting) in readonly mode")
"""What servers, old and current, say of settings where a profile is read-only."""
LIMITS = re.compile(r"\bCode: (158|159|160|191|202|241|307|394|396)\b")
"""What a server says of a query that is too much for it: rows, time, speed, sets, queries at a time, memory, bytes,
given up, size of the result."""
Row = TypeVar("Row")


class _Fixed(InfrastructureError):
    """Settings came with the query, and a profile allows none."""


KINDS: web.Kinds = {FIXED: _Fixed, LIMITS: Unanswered}


class _Answer(msgspec.Struct, Generic[Row]):
    data: list[Row]


def text(value: str) -> str:
    """The expression for any text, safe whatever it holds."""
    return f"unhex('{value.encode(errors='replace').hex().upper()}')"


def _header(value: str) -> str:
    """A text whose UTF-8 bytes are sent."""
    return value.encode().decode("latin-1")


class ClickHouse(NamedTuple):
    """A server, and as whom it is asked."""

    url: str
    user: str = "default"
    password: str = ""
    database: str = "default"

    def __repr__(self) -> str:
        return f"ClickHouse({self.url!r}, {self.user!r})"

    @property
    def who(self) -> str:
        """In words."""
        return f"ClickHouse at {self.url}"

    def rows(self, query: str, row: type[Row]) -> list[Row]:
        """What a SELECT finds, each row as a `row`, a NamedTuple of the columns' types.

        Raises InfrastructureError, and of these Unanswered where the query is too much for the server."""
        try:
            answer = self._ask(query, SETTINGS)
        except _Fixed:
            answer = self._ask(query, {})
        try:
            return msgspec.json.decode(answer, type=_Answer[row]).data  # type: ignore[valid-type]
        except ValueError as error:
            began = web.excerpt(answer, self.password)
            web.refuse(self.who, f"not the expected answer: {error}; it begins with {began!r}", self.password)

    def _ask(self, query: str, settings: Mapping[str, int]) -> str:
        parameters = urlencode({**settings, **WHOLE, "database": self.database})
        body = f"{query} FORMAT JSONCompact".encode()
        request = Request(f"{self.url.rstrip('/')}/?{parameters}", data=body)
        # Unredirected: another server that this one points to is not told the password.
        request.add_unredirected_header("X-ClickHouse-User", _header(self.user))
        request.add_unredirected_header("X-ClickHouse-Key", _header(self.password))
        return web.fetch(self.who, request, self.password, KINDS).decode(errors="replace")
