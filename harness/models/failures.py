"""What a failed call to a provider means: one reading of LiteLLM's exceptions, by status and by cause.

Owns: the classification, Retry-After, and the scrubbing of secrets. Does not own: how often and how long to
retry (`harness/models/litellm.py`) or what a cause means for a trial (`harness/errors.py`).

LiteLLM wraps everything, its own bugs and missing Python modules included, in exceptions that look like
provider errors (`APIConnectionError: No module named 'mcp'`), so the whole chain of causes is read, not the
class alone. Classes are known by name, because importing LiteLLM takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

from harness.errors import AgentError

Kind = Literal[
    "transient",
    "unreachable",
    "setup",
    "credentials",
    "request",
    "context",
    "filtered",
    "unreadable",
    "unknown",
]
"""transient: worth another attempt. unreachable: no connection. setup: a Python module is missing.
credentials: key, permission, credit or address. request: the provider refused the request itself.
context: the conversation is too long. filtered: a content filter answered. unreadable: an answer, but no
completion. unknown: none of these."""

TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
CREDENTIAL_STATUS = frozenset({401, 402, 403, 404, 405})
LONGEST_DETAIL = 500
UNREACHABLE = frozenset({"ConnectError", "ClientConnectorError", "ConnectionRefusedError", "gaierror"})
NOT_A_COMPLETION = re.compile(r"no 'choices'|'choices' that is not a list|Invalid response object")
NO_CREDIT = re.compile(r"insufficient_quota|exceeded your current quota", re.IGNORECASE)
SECRETS = re.compile(
    r"\b(?:sk|pk|gsk|xai|hf|r8|AIza)[-_]?[A-Za-z0-9_\-]{12,}|(?<=bearer )\S+|(?<=[?&]key=)[^&\s\"']+",
    re.IGNORECASE,
)


class ContextWindowError(AgentError):
    """The conversation no longer fits the model: the agent let it grow, so the agent system is to blame."""

    def __init__(self, cause: str = "budget_tokens", detail: str = "") -> None:
        super().__init__(cause, detail)


class Failure(NamedTuple):
    """One failed call, understood."""

    kind: Kind
    detail: str
    """One line for humans. Not yet free of secrets: see `scrub`."""
    status: int | None = None
    """HTTP status, where the provider gave one."""
    retry_after: float | None = None
    """Seconds that the provider asked to wait."""


def classify(error: BaseException) -> Failure:
    """Read what LiteLLM (or the event loop) raised."""
    chain = list(_chain(error))
    status = _status(error)
    detail = _one_line(error, chain)
    return Failure(_kind(chain, status), detail, status, _retry_after(chain))


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets and without anything that looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[secret]")
    return SECRETS.sub("[secret]", text)


def _kind(chain: list[BaseException], status: int | None) -> Kind:
    names = {kind.__name__ for error in chain for kind in type(error).__mro__}
    text = str(chain[0])
    if any(isinstance(error, ImportError) for error in chain) or "No module named" in text:
        return "setup"
    if "ContextWindowExceededError" in names or status == 413:
        return "context"
    if "ContentPolicyViolationError" in names:
        return "filtered"
    if NOT_A_COMPLETION.search(text):
        return "unreadable"
    if names & UNREACHABLE:
        return "unreachable"
    if status == 429 and any(NO_CREDIT.search(f"{error} {getattr(error, 'code', '')}") for error in chain):
        return "credentials"
    return _kind_of_status(status, timed_out="TimeoutError" in names)


def _kind_of_status(status: int | None, timed_out: bool) -> Kind:
    # 200 here: a body that is not JSON, as a proxy's error page or a reply cut short
    if timed_out or status == 200 or (status is not None and (status in TRANSIENT_STATUS or status >= 500)):
        return "transient"
    if status in CREDENTIAL_STATUS:
        return "credentials"
    return "request" if status in (400, 422) else "unknown"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return int(status) if isinstance(status, int | str) and str(status).isdigit() else None


def _retry_after(chain: list[BaseException]) -> float | None:
    for error in chain:
        response = getattr(error, "response", None)
        for headers in (getattr(error, "litellm_response_headers", None), getattr(response, "headers", None)):
            seconds = _seconds(headers)
            if seconds is not None:
                return seconds
    return None


def _seconds(headers: Mapping[str, Any] | None) -> float | None:
    given = {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
    try:
        if "retry-after-ms" in given:
            return max(float(given["retry-after-ms"]) / 1000, 0.0)
        return max(float(given["retry-after"]), 0.0)
    except KeyError:
        return None
    except ValueError:
        return _until(given["retry-after"]) if "retry-after" in given else None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((zoned - datetime.now(UTC)).total_seconds(), 0.0)


def _one_line(error: BaseException, chain: list[BaseException]) -> str:
    text = str(error).split("Traceback (most recent call last)")[0] or type(chain[-1]).__name__
    text = re.sub(r"^(litellm\.)?\w+: (\w+: )?(\w+Exception - )?", "", " ".join(text.split()))
    return f"{type(error).__name__}: {text}"[:LONGEST_DETAIL]
