"""One HTTP request to a monitoring server, bounded in time and in size.

Owns: the bounds, what is said of a failure, which failures are of one query. Does not own: what is asked, what an
answer means.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from harness.errors import InfrastructureError, Unanswered

TIMEOUT_S = 20.0
"""For a whole answer, however slowly it drips."""
MOST_BYTES = 128 * 2**20
CHUNK = 2**20
SHOWN = 300
"""Characters of a server's complaint that are passed on."""
Kinds = Mapping[re.Pattern[str], type[InfrastructureError]]


def fetch(who: str, request: Request, secret: str = "", kinds: Kinds | None = None) -> bytes:
    """The body of an answer. `who`: the server in words. `secret` is masked in what is said. `kinds`: what a server
    writes with an error's status -> what is raised then, decided on its own words.

    Raises InfrastructureError, and of these Unanswered where a server was reached and this answer is too late or too
    long."""
    deadline = time.monotonic() + TIMEOUT_S
    body = bytearray()
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            while chunk := answer.read1(CHUNK):
                body += chunk
                if len(body) > MOST_BYTES:
                    refuse(who, f"the answer is longer than {MOST_BYTES} bytes", kind=Unanswered)
                if time.monotonic() > deadline:
                    refuse(who, f"no whole answer within {TIMEOUT_S:g} s", kind=Unanswered)
    except HTTPError as error:
        with error:
            said = _said(error)
        usual = Unanswered if error.code == HTTPStatus.GATEWAY_TIMEOUT else InfrastructureError
        kind = next((kind for words, kind in (kinds or {}).items() if words.search(said)), usual)
        refuse(who, f"{error}: {excerpt(said, secret)}".rstrip(": "), secret, kind)
    except TimeoutError as error:  # a connection that is not made is an URLError
        refuse(who, str(error) or "timed out", secret, Unanswered)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that is none
        refuse(who, str(error) or type(error).__name__, secret)
    return bytes(body)


def refuse(
    who: str, why: str, secret: str = "", kind: type[InfrastructureError] = InfrastructureError
) -> NoReturn:
    """Say what went wrong with a server. Raises InfrastructureError, as the `kind` that is given."""
    raise kind("infra_monitoring_failed", f"{who}: {_masked(why, secret)}")


def excerpt(said: str, secret: str = "") -> str:
    """The beginning of what a server wrote, on one line. Masked first: a part of a secret is no longer found."""
    return " ".join(_masked(said, secret).split())[:SHOWN]


def _masked(said: str, secret: str) -> str:
    return said.replace(secret, "***") if secret else said


def _said(error: HTTPError) -> str:
    try:
        return str(error.read1(CHUNK), errors="replace")
    except (OSError, HTTPException, ValueError):
        return ""
