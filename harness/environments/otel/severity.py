"""Severities of log records: many spellings, five names.

Owns: the spellings, and the numbers of the OpenTelemetry log data model where a text says nothing. Does not own:
where a record was stored.
"""

from __future__ import annotations

from typing import Literal

Severity = Literal["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
SPELLINGS: dict[str, Severity] = {
    "TRACE": "DEBUG", "DEBUG": "DEBUG", "INFO": "INFO", "INFORMATION": "INFO", "NOTICE": "INFO", "WARN": "WARN",
    "WARNING": "WARN", "ERR": "ERROR", "ERROR": "ERROR", "CRITICAL": "FATAL", "FATAL": "FATAL", "PANIC": "FATAL",
    "EMERGENCY": "FATAL", "ALERT": "FATAL",
}  # fmt: skip
LEVELS: tuple[tuple[int, Severity], ...] = (
    (21, "FATAL"),
    (17, "ERROR"),
    (13, "WARN"),
    (9, "INFO"),
    (1, "DEBUG"),
)
"""The lowest number of each, highest first; 0 means that nothing was said."""
UNSAID: Severity = "INFO"


def severity_of(text: str, number: int = 0) -> Severity:
    """By its text, without a level such as the 2 of `WARN2`; otherwise by its number."""
    known = SPELLINGS.get(text.strip().upper().rstrip("0123456789"))
    if known is not None:
        return known
    return next((name for lowest, name in LEVELS if number >= lowest), UNSAID)
