"""What stands in one cell of a recorded table: a time, a JSON object, a map of attributes.

Owns: the spellings that the recorders and data sets use. Does not own: tables (`tsv.py`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_PAIR = re.compile(
    r"(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*:\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^,}\s]+))"
)
_FILE_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)-(\d\d)-(\d\d(?:\.\d+)?)")
_NUMBER = re.compile(r"\d{9,19}(?:\.\d+)?")


def parse_stamp(text: str) -> float:
    """Seconds since the epoch of `2025-11-20 10:11:12.123456789`, RFC 3339 text, or epoch s, ms, us or ns.

    Text without an offset is UTC. Raises ValueError."""
    text = text.strip()
    if len(text) >= 19 and text[4] == "-":
        rest = text[19:]
        if not rest or rest == "Z":
            return _second(text[:19])
        if rest[0] == "." and rest[1:].rstrip("Z").isdigit():
            return _second(text[:19]) + float(rest.rstrip("Z"))
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    if _NUMBER.fullmatch(text):
        value = float(text)
        while value > 1e11:
            value /= 1000
        return value
    raise ValueError(f"expected a time such as 2025-11-20 10:11:12.123, found {text[:40]!r}")


def file_stamp(name: str) -> float | None:
    """The time in the name of a file such as `alerts_at_2025-11-20T10-11-12.123456.json`; None without one."""
    found = _FILE_STAMP.search(name)
    return parse_stamp(f"{found[1]}:{found[2]}:{found[3]}") if found else None


@lru_cache(maxsize=65_536)
def _second(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def parse_json(text: str) -> Any:
    """A cell's JSON, also where quotes are doubled or backslashes escaped once too often. Raises ValueError."""
    try:
        return _decode(text)
    except ValueError as error:
        for spelling in _spellings(text):
            try:
                return _decode(spelling)
            except ValueError:
                continue
        raise ValueError(f"not JSON: {error}") from None


def _spellings(text: str) -> list[str]:
    stripped = text.strip()
    inner = stripped[1:-1] if len(stripped) > 1 and stripped[0] == stripped[-1] == '"' else stripped
    return [inner.replace('""', '"'), inner.replace("\\\\", "\\").replace("\\'", "'")]


@lru_cache(maxsize=16_384)
def parse_map(text: str) -> Mapping[str, str]:
    """Attributes written as JSON, as a Python dictionary or as ClickHouse writes a map; {} for an empty cell.

    Raises ValueError for text that is none of these."""
    text = text.strip()
    if text in ("", "{}", "null"):
        return {}
    if not (text.startswith("{") and text.endswith("}")):
        raise ValueError(f"expected a map, found {text[:40]!r}")
    try:
        found = _decode(text)
    except ValueError:
        found = _literal(text)
    return {str(key): value if isinstance(value, str) else str(value) for key, value in found.items()}


def _literal(text: str) -> Mapping[Any, Any]:
    try:
        found = ast.literal_eval(text)
        if isinstance(found, dict):
            return found
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        pass
    pairs = {(a or b): (c or d or e) for a, b, c, d, e in _PAIR.findall(text)}
    if not pairs:
        raise ValueError(f"expected a map, found {text[:40]!r}")
    return pairs
