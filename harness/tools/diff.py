"""Differences between two versions of an object, as flat paths.

Owns: which fields count as a change, and the path grammar: `spec.ports[0].targetPort`, list items by name
where they have one (`containers[checkout].env[KAFKA_ADDR].value`), keys with dots quoted
(`data['demo.flagd.json'].flags.x`). Texts that hold JSON are compared inside. Secret values never appear.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.cluster import REVISION, Manifest
from harness.tools.base import FieldChange, Json
from harness.tools.rendering import shorten

REDACTED = "<redacted>"
VALUE_CHARACTERS = 300
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

IGNORED = frozenset(
    {
        "status",
        "metadata.resourceVersion",
        "metadata.managedFields",
        "metadata.generation",
        "metadata.uid",
        "metadata.creationTimestamp",
        "metadata.selfLink",
        f"metadata.annotations['{LAST_APPLIED}']",
        f"metadata.annotations['{REVISION}']",
        "spec.clusterIP",
        "spec.clusterIPs",
        "count",
        "lastTimestamp",
    }
)
"""Paths that the API server writes; they are no change."""
OPTIONAL_MAPS = frozenset({"metadata.annotations", "metadata.labels"})
"""Maps that stand for empty ones when they are missing."""


def changes_between(old: Manifest | None, new: Manifest | None) -> tuple[FieldChange, ...]:
    """What differs between two versions of an object; empty when one of them is missing."""
    if not old or not new or old is new:
        return ()
    found = tuple(_differences(old, new, ""))
    if new.get("kind") == "Secret":
        return tuple(_redacted(change) for change in found)
    return found


def as_rows(changes: Sequence[FieldChange], limit: int = 0) -> list[Json]:
    """Changes as an agent reads them: long values shortened, absent sides left out."""
    return [_row(change) for change in (changes[:limit] if limit else changes)]


def _row(change: FieldChange) -> Json:
    row: Json = {"path": change.path, "type": change.type}
    if change.type != "added":
        row["old"] = _short(change.old)
    if change.type != "removed":
        row["new"] = _short(change.new)
    return row


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return shorten(value, VALUE_CHARACTERS)
    if isinstance(value, (dict, list)):
        text = json.dumps(value, separators=(",", ":"))
        return value if len(text) <= VALUE_CHARACTERS else shorten(text, VALUE_CHARACTERS)
    return value


def _redacted(change: FieldChange) -> FieldChange:
    if not change.path.startswith(("data", "stringData")):
        return change
    old = None if change.type == "added" else REDACTED
    return change._replace(old=old, new=None if change.type == "removed" else REDACTED)


def _differences(old: Any, new: Any, path: str) -> Iterator[FieldChange]:
    if old is new or path in IGNORED:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_mappings(old, new, path, _key)
    elif isinstance(old, list) and isinstance(new, list):
        named = _by_name(old), _by_name(new)
        if named[0] is not None and named[1] is not None:
            yield from _of_mappings(named[0], named[1], path, _item)
        else:
            yield from _of_mappings(dict(enumerate(old)), dict(enumerate(new)), path, _item)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        inside = _parsed(old), _parsed(new)
        if inside[0] is not None and inside[1] is not None:
            yield from _differences(inside[0], inside[1], path)
        else:
            yield FieldChange(path, "changed", old, new)


def _of_mappings(
    old: Mapping[Any, Any], new: Mapping[Any, Any], path: str, step: Callable[[str, Any], str]
) -> Iterator[FieldChange]:
    for key in [*old, *(key for key in new if key not in old)]:
        if key in old and key in new and old[key] is new[key]:
            continue
        where = step(path, key)
        if where in IGNORED:
            continue
        if where in OPTIONAL_MAPS:
            yield from _differences(old.get(key) or {}, new.get(key) or {}, where)
        elif key not in new:
            yield FieldChange(where, "removed", old[key], None)
        elif key not in old:
            yield FieldChange(where, "added", None, new[key])
        else:
            yield from _differences(old[key], new[key], where)


def _key(path: str, key: str) -> str:
    if "." in key or "/" in key:
        return f"{path}['{key}']"
    return f"{path}.{key}" if path else key


def _item(path: str, key: str | int) -> str:
    return f"{path}[{key}]"


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """List items keyed by their names, None when not all have one of their own."""
    named = {item["name"]: item for item in items if isinstance(item, dict) and "name" in item}
    return named if len(named) == len(items) else None


def _parsed(value: Any) -> Any:
    """The JSON object or list inside a text, else None."""
    if not isinstance(value, str) or value[:1] not in "{[" or not value:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None
