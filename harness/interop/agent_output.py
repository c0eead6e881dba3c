"""One `agent_output.json`, however an agent wrote it, as a Diagnosis.

Owns: the forms that the official evaluator accepts (plain JSON, a fenced block, either one inside a JSON string),
small repairs, and the spellings of older agents. Does not own: where the file lies (`evaluator_outputs.py`).
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from harness.records import AlertExplained, Diagnosis, Entity, Propagation

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_NESTING = 2
"""A JSON string with a fenced block with JSON is as deep as outputs go."""


class Output(NamedTuple):
    """A read output: the diagnosis, or the reason code (`errors.CAUSES`) why there is none."""

    diagnosis: Diagnosis | None
    reason: str | None = None
    detail: str = ""
    """What was wrong, or what was repaired."""


def parse_output(text: str) -> Output:
    """Read the text of an output file. Never fails."""
    data, repaired = _load(text)
    if data is None:
        return Output(
            None, "invalid_json", "no JSON was found in the file" if text.strip() else "it is empty"
        )
    if not isinstance(data, dict) or not isinstance(data.get("entities"), list):
        found = ", ".join(map(str, list(data)[:8])) if isinstance(data, dict) else type(data).__name__
        return Output(
            None, "schema_violation", f"found {found or 'an empty object'}; expected a list `entities`"
        )
    left_out = [index for index, entry in enumerate(data["entities"]) if _entity(entry) is None]
    notes = ["JSON was repaired"] if repaired else []
    notes += [f"entities[{index}] has no name and was left out" for index in left_out]
    return Output(_diagnosis(data), None, "; ".join(notes))


def _load(text: str, depth: int = 0) -> tuple[Any, bool]:
    """(the JSON value in a text or None, whether it had to be repaired)."""
    fenced = [found[1] for found in _FENCE.finditer(text)]
    for candidate in (text, *fenced):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, str) and depth < _NESTING:
            return _load(value, depth + 1)
        return value, False
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            return json.loads(_TRAILING_COMMA.sub(r"\1", text[start : end + 1])), True
        except (ValueError, RecursionError):
            return None, False
    return None, False


def _diagnosis(data: dict[str, Any]) -> Diagnosis:
    return Diagnosis(
        entities=tuple(entity for entry in data["entities"] if (entity := _entity(entry)) is not None),
        propagations=tuple(
            Propagation(
                source=_text(entry.get("source")),
                target=_text(entry.get("target")),
                condition=_text(entry.get("condition")),
                effect=_text(entry.get("effect")),
            )
            for entry in _mappings(data.get("propagations"))
            if _text(entry.get("source")) and _text(entry.get("target"))
        ),
        alerts_explained=tuple(
            AlertExplained(
                alert=_text(entry.get("alert")),
                explanation=_text(entry.get("explanation")),
                explained=_flag(entry.get("explained", True)),
            )
            for entry in _mappings(data.get("alerts_explained"))
        ),
    )


def _entity(entry: Any) -> Entity | None:
    """An entity; agents of 2025 wrote `id` and `root_cause`."""
    if not isinstance(entry, dict):
        return None
    name = _text(entry.get("name")) or _text(entry.get("id"))
    if not name:
        return None
    return Entity(
        name=name,
        contributing_factor=_flag(entry.get("contributing_factor", entry.get("root_cause"))),
        reasoning=_text(entry.get("reasoning")),
        evidence=_text(entry.get("evidence")),
    )


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _flag(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def _text(value: Any) -> str:
    """Text as it is; other JSON as JSON; nothing for nothing."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)
