"""Addresses of servers in the configuration, which is stored with every run and may therefore hold no secret.

Owns: what is refused in one, and what of a wrong configuration is never repeated. Does not own: the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticCustomError

UNREPEATED = frozenset(
    {"attached", "prometheus", "clickhouse", "jaeger", "clickhouse_password_env", "api_base", "api_key_env"}
)
"""Fields into which somebody may have written a password."""


def plain_address(value: Any, instead: str) -> Any:
    """An address, or what is none at all (None), as it was given. Raises an error that does not repeat it.

    `instead`: where credentials go."""
    if not isinstance(value, str):
        return value
    if "@" in value or "?" in value:
        raise PydanticCustomError(
            "secret", "holds credentials (@) or parameters (?); {instead}", {"instead": instead}
        )
    if not value.startswith(("http://", "https://")):
        raise PydanticCustomError("secret", "is not an address; expected http://... or https://...")
    return value


def found(item: Mapping[str, Any]) -> str:
    """The input of one pydantic error, in words; empty where it may hold a password, as a whole section may."""
    given = item.get("input")
    where = str(item["loc"][-1]) if item["loc"] else ""
    if item["type"] in ("missing", "secret") or where in UNREPEATED or isinstance(given, Mapping):
        return ""
    return f", found {given!r}"
