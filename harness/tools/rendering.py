"""Results as text: compact JSON of a bounded size that stays valid JSON when it had to be cut.

Owns: encoding and truncation. Does not own: what a result contains.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.tools.base import Json

LIMIT = 12_000
"""Characters of a result that an agent reads."""
NOTICE = 400
"""Characters set aside for the truncation notice."""
SHRINKS = ((2000, 100), (500, 30), (200, 10), (80, 4), (40, 2))
"""(characters per text, items per list) to try in turn when no single list explains the size."""

_encode = msgspec.json.Encoder().encode


def compact(value: Any) -> str:
    """Compact JSON."""
    return _encode(value).decode()


def render(result: Json, limit: int = LIMIT, narrow: str = "") -> str:
    """Compact JSON of at most `limit` characters. A cut result says so under `truncated`."""
    text = compact(result)
    if len(text) <= limit:
        return text
    return _with_fewer_rows(result, limit, narrow) or _shrunk(result, limit, narrow, len(text))


def _with_fewer_rows(result: Json, limit: int, narrow: str) -> str | None:
    """Drop the tail of the longest list; None when that is not what makes the result long."""
    lists = {key: value for key, value in result.items() if isinstance(value, list) and value}
    if not lists:
        return None
    sizes = {key: [len(compact(row)) + 1 for row in rows] for key, rows in lists.items()}
    longest = max(sizes, key=lambda key: sum(sizes[key]))
    rows = lists[longest]
    room = limit - NOTICE - len(compact({**result, longest: []}))
    kept = 0
    while kept < len(rows) and room >= sizes[longest][kept]:
        room -= sizes[longest][kept]
        kept += 1
    if kept == 0:
        return None
    shorter = {**result, longest: rows[:kept]}
    if "returned_count" in shorter and longest == "data":
        shorter["returned_count"] = kept
    shorter["truncated"] = f"{kept} of {len(rows)} `{longest}` rows shown; {narrow}"[:NOTICE]
    return compact(shorter)


def _shrunk(result: Json, limit: int, narrow: str, size: int) -> str:
    notice = f"long texts and lists were cut ({size} characters in all); {narrow}"[: NOTICE // 2]
    for characters, items in SHRINKS:
        text = compact({**shrink(result, characters, items), "truncated": notice})
        if len(text) <= limit:
            return text
    return compact({"truncated": notice, "text": compact(result)[: limit // 2]})


def shrink(value: Any, characters: int, items: int) -> Any:
    """A copy with long texts cut to `characters` and long lists to `items`."""
    if isinstance(value, str):
        return shorten(value, characters)
    if isinstance(value, dict):
        return {key: shrink(child, characters, items) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        cut = [shrink(child, characters, items) for child in value[:items]]
        return cut if len(value) <= items else [*cut, f"…[{len(value) - items} more]"]
    return value


def shorten(text: str, characters: int) -> str:
    """Cut a long text and say how much is missing."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}…[{len(text) - characters} more characters]"
