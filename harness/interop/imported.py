"""What every trace importer yields, and the helpers that they share.

Owns: the shape of an imported trace, numbering, reading of large files piece by piece. A trace that cannot be read
is yielded as `Broken` with its reason: it is counted, never dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from harness.mast.view import IMPORTED
from harness.records import Present
from harness.trace import Ended, Event

CHUNK = 1 << 20


@dataclass(frozen=True)
class Imported:
    """One trace from anywhere."""

    trace_id: str
    group: str
    """What prevalence is tabulated by: model and arm, or the system that it came from."""
    events: list[Event]
    release: str = ""
    """Taxonomy release of `published`."""
    published: Mapping[str, Present] = field(default_factory=dict)
    """Labels that came along: published code -> present, absent, or cannot_tell where it was left open."""


@dataclass(frozen=True)
class Broken:
    """A trace that could not be read."""

    trace_id: str
    why: str


Item = Imported | Broken


def numbered(events: Iterable[Event], ended: str | None = IMPORTED) -> list[Event]:
    """Events numbered from 0; with an end where the format has none of its own."""
    given = [*events, *([Ended(how=ended)] if ended else [])]
    return [msgspec.structs.replace(event, i=i) for i, event in enumerate(given)]


def text_content(content: Any) -> str:
    """Text of a message's content: a text, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (
            part.get("text") or part.get("content") if isinstance(part, dict) else part for part in content
        )
        return "\n".join(str(part) for part in parts if part)
    return "" if content is None else json.dumps(content, ensure_ascii=False)


def arguments(raw: Any) -> dict[str, Any]:
    """Arguments of a tool call; what is no JSON object is kept under `_raw`."""
    if isinstance(raw, str):
        try:
            raw = json.loads(raw or "{}")
        except ValueError:
            return {"_raw": raw}
    return raw if isinstance(raw, dict) else {"_raw": raw}


def failed(text: str) -> bool:
    """Whether a tool's text says that the call failed."""
    return text.lstrip().startswith(("Error", "error:", "Traceback"))


_STRUCTURE = re.compile(rb'["\\{}]')


def array_items(file: BinaryIO) -> Iterator[bytes]:
    """The objects of a JSON array, one at a time, however long the array is. Raises ValueError at a torn end."""
    buffer, scanned, depth, begin, quoted = bytearray(), 0, 0, -1, False
    while True:
        chunk = file.read(CHUNK)
        buffer += chunk
        skip = -1
        for match in _STRUCTURE.finditer(buffer, scanned):
            at, sign = match.start(), match.group()
            if at == skip:
                continue
            if sign == b"\\":
                skip = at + 1
            elif sign == b'"':
                quoted = not quoted
            elif not quoted:
                if sign == b"{":
                    begin = at if depth == 0 else begin
                    depth += 1
                else:
                    depth -= 1
                    if depth == 0:
                        yield bytes(buffer[begin : at + 1])
                        begin = -1
        scanned = len(buffer) + (1 if skip >= len(buffer) else 0)
        if not chunk:
            break
        keep = begin if begin >= 0 else min(scanned, len(buffer))
        del buffer[:keep]
        scanned -= keep
        begin = 0 if begin >= 0 else -1
    if depth:
        raise ValueError("the array ends in the middle of an object")


def head_of(path: Path, size: int = 1 << 16) -> bytes:
    """The beginning of a file."""
    with open(path, "rb") as file:
        return file.read(size)
