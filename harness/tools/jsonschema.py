"""JSON Schemas of argument models, as short as models need them.

Owns: inlining of references and removal of titles, and the limits that pydantic writes for its own use.
Does not own: what the arguments mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

NOISE = frozenset({"title", "$defs", "additionalProperties"})


def plain_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model: references inlined, no titles, no defaults that say nothing."""
    schema = model.model_json_schema()
    return _closed(_plain(schema, schema.get("$defs", {})))


def _plain(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        return _plain({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: _plain(child, definitions) for name, child in value.items()}
        elif key not in NOISE and not _says_nothing(key, value):
            result[key] = _plain(value, definitions)
    return result


def _says_nothing(key: str, value: Any) -> bool:
    """An empty default, or a lower bound that goes without saying."""
    if key == "default":
        return value in (None, "", [], {}) or value is False
    return key == "minimum" and value == 0


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Refuse unknown keys at the top, where models invent them."""
    schema.pop("description", None)
    return {**schema, "additionalProperties": False}
