"""Kubernetes quantities (`500m`, `256Mi`): parsing, checking and writing.

Owns: the unit table. Cores and bytes are plain floats once parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache

_UNITS = {
    "": 1.0,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkMGTPE]|[KMGTPE]i)?")
PATTERN = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(maxsize=1024)
def parse_quantity(text: str | int | float) -> float:
    """Cores or bytes. Raises ValueError with the API server's words."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"quantities must match the regular expression {PATTERN}")
    return float(match[1]) * _UNITS[match[2] or ""]


def format_quantity(value: float, resource: str) -> str:
    """A sum as the API server writes it: cores in `m`, bytes in the largest exact binary unit."""
    if resource.endswith("cpu"):
        milli = round(value * 1000)
        return f"{milli}m" if milli % 1000 else str(milli // 1000)
    if resource.endswith(("memory", "storage")):
        whole = round(value)
        for unit in ("Gi", "Mi", "Ki"):
            if whole and whole % _UNITS[unit] == 0:
                return f"{int(whole // _UNITS[unit])}{unit}"
        return str(whole)
    return str(round(value))
