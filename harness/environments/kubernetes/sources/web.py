"""One HTTP request to a monitoring server, bounded in time and in size.

Owns: the bounds, and what is said of a failure. Does not own: what is asked, what an answer means.
"""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from harness.errors import InfrastructureError

TIMEOUT_S = 20.0
"""For a whole answer, however slowly it drips."""
MOST_BYTES = 128 * 2**20
CHUNK = 2**20
SHOWN = 300
"""Characters of a server's complaint that are passed on."""


def fetch(who: str, request: Request, secret: str = "") -> bytes:
    """The body of an answer. `who`: the server in words. `secret` is masked in what is said.

    Raises InfrastructureError."""
    deadline = time.monotonic() + TIMEOUT_S
    body = bytearray()
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            while chunk := answer.read1(CHUNK):
                body += chunk
                if len(body) > MOST_BYTES:
                    refuse(who, f"the answer is longer than {MOST_BYTES} bytes")
                if time.monotonic() > deadline:
                    refuse(who, f"no whole answer within {TIMEOUT_S:g} s")
    except HTTPError as error:
        with error:
            refuse(who, f"{error}: {_said(error)}".rstrip(": "), secret)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that is none
        refuse(who, str(error) or type(error).__name__, secret)
    return bytes(body)


def refuse(who: str, why: str, secret: str = "") -> NoReturn:
    """Say what went wrong with a server. Raises InfrastructureError."""
    told = why.replace(secret, "***") if secret else why
    raise InfrastructureError("infra_deploy_failed", f"{who}: {told}")


def _said(error: HTTPError) -> str:
    """The beginning of what the server wrote, on one line."""
    try:
        written = error.read1(CHUNK).decode(errors="replace")
    except (OSError, HTTPException, ValueError):
        return ""
    return " ".join(written.split())[:SHOWN]
