"""Validation errors as an agent reads them: every problem at once, with what was found and what is accepted.

Owns: that wording. Does not own: the rules that were broken.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from harness.tools.rendering import shorten

SHOWN = 12
FOUND_CHARACTERS = 60


def problems_of(error: ValidationError, model: type[BaseModel]) -> str:
    """All problems of one set of arguments on one line."""
    details = error.errors(include_url=False)
    told = [_problem(detail, model) for detail in details[:SHOWN]]
    if len(details) > SHOWN:
        told.append(f"and {len(details) - SHOWN} more problems")
    return "; ".join(told)


def _problem(detail: Any, model: type[BaseModel]) -> str:
    where = _path(detail["loc"])
    if detail["type"] == "extra_forbidden":
        accepted = f" (accepted: {', '.join(model.model_fields)})" if len(detail["loc"]) == 1 else ""
        return f"{where}: unknown argument{accepted}"
    if detail["type"] == "missing":
        return f"{where}: required"
    told = detail["msg"].removeprefix("Value error, ")
    told = told[:1].lower() + told[1:]
    found = shorten(repr(detail["input"]), FOUND_CHARACTERS)
    return f"{where}: {told}" if "found" in told else f"{where}: {told}, found {found}"


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "arguments"
