"""MAST-Data: `MAD_full_dataset.json` and `MAD_human_labelled_dataset.json` (docs/sources M3).

Trajectories are free text; they are cut into turns at the headers that the systems write. Published labels are kept
by release: the full set uses the judge prompt's numbering, the human one a numbering for each round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.interop.imported import Broken, Imported, Item, array_items, numbered
from harness.records import Present
from harness.trace import AssistantMessage, Event, UserMessage

ROUNDS = {"round 1": "iaa_1", "round 2": "iaa_2_3", "round 3": "iaa_2_3"}
"""Release of each annotation round; the last round uses the final codes."""
_HEADER = re.compile(
    r"^(?:\[\d{4}-\d\d-\d\d[ T][\d:.,]+[^\]]*\]\s*(?P<log>[^:\n]{0,80}):?"
    r"|(?P<sender>[\w.-]{1,40}) \(to [\w.-]{1,40}\):"
    r"|-{3,}\s*(?P<agent>[\w .-]{1,40})\s*-{3,}"
    r"|\*{2}(?P<bold>[\w .-]{1,40})\*{2}:)",
    re.M,
)
LONGEST_TURN = 20_000
"""Text without any header is cut into turns of so many characters."""


def sniff(path: Path, head: bytes) -> bool:
    """An array of rows with a trajectory, or of human annotations."""
    return head.lstrip().startswith(b"[") and (b'"mast_annotation"' in head or b'"mas_name"' in head)


def read(path: Path) -> Iterator[Item]:
    """All rows of a file."""
    try:
        with open(path, "rb") as file:
            for place, item in enumerate(array_items(file)):
                try:
                    yield _row(json.loads(item), place)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    yield Broken(f"{path.name}[{place}]", f"not a readable row: {error!r}")
    except (OSError, ValueError) as error:
        yield Broken(str(path), str(error))


def _row(row: dict[str, Any], place: int) -> Imported:
    trace = row["trace"]
    text = trace["trajectory"] if isinstance(trace, dict) else trace
    if not isinstance(text, str):
        raise TypeError("the trajectory is no text")
    key = trace.get("key", "") if isinstance(trace, dict) else row.get("round", "")
    name = f"{row.get('mas_name', '')}/{key}/{row.get('trace_id', place)}"
    events = numbered(turns(text))
    if "annotations" in row:
        release = ROUNDS.get(str(row.get("round", "")).lower(), "paper_v3")
        return Imported(name, str(row.get("mas_name", "")), events, release, _human(row["annotations"]))
    return Imported(name, str(row.get("mas_name", "")), events, "agentdash", _machine(row["mast_annotation"]))


def _machine(annotation: dict[str, Any]) -> dict[str, Present]:
    """Null is cannot tell, never absent."""
    return {code: _present(value) for code, value in annotation.items()}


def _human(annotations: list[dict[str, Any]]) -> dict[str, Present]:
    """The majority of the annotators; a tie, or nobody, is cannot tell."""
    found: dict[str, Present] = {}
    for entry in annotations:
        code = re.match(r"\s*(\d+\.\d+)", str(entry["failure mode"]))
        votes = [entry.get(f"annotator_{n}") for n in (1, 2, 3)]
        known = [bool(vote) for vote in votes if isinstance(vote, bool | int)]
        if code:
            agree = 2 * sum(known) != len(known)
            found[code.group(1)] = _present(2 * sum(known) > len(known)) if agree else "cannot_tell"
    return found


def _present(value: Any) -> Present:
    return "cannot_tell" if value is None else "present" if value else "absent"


def turns(text: str) -> Iterator[Event]:
    """The trajectory as messages; what stands before the first header is the task."""
    starts = [
        (match.start(), match.lastgroup and match.group(match.lastgroup)) for match in _HEADER.finditer(text)
    ]
    begin = starts[0][0] if starts else 0
    if text[:begin].strip():
        yield UserMessage(text=text[:begin].strip())
    if not starts:
        for at in range(0, len(text), LONGEST_TURN):
            yield AssistantMessage(text=text[at : at + LONGEST_TURN])
        return
    ends = [start for start, _ in starts[1:]] + [len(text)]
    for (start, name), end in zip(starts, ends, strict=True):
        yield AssistantMessage(text=text[start:end].strip(), role=(name or "agent").strip() or "agent")
