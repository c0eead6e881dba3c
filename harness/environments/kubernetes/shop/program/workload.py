"""Which workload this process plays, and what it has to know of the application."""

import json
import os
from typing import Any

Described = dict[str, Any]
"""A part of the application file: an operation, a call, the effect of a flag."""
Path = tuple[str, ...]
"""Services that a request has passed, outermost first."""

PLACE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "application.json")

with open(PLACE, encoding="utf-8") as file:
    APPLICATION: Described = json.load(file)
NAME = os.environ.get("OTEL_SERVICE_NAME", "")
ME: Described = APPLICATION["workloads"].get(NAME, {})
FLAG_STORE: Described = APPLICATION["flag_store"]


def env_of(names: str) -> str:
    """The values of environment variables whose names are joined with `:`."""
    return ":".join(os.environ.get(name, "") for name in names.split(":"))
