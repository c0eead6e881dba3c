"""Which modes' labels have been shown to be right, and for whose traces.

Owns: the remark beside a mode. Does not own: calibrating (`harness/mast/calibration`), or correcting prevalence
(`correction.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

DECIDES = "decides"


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, Any]:
    """The calibration of this version's detectors on simulated models' traces."""
    text = files("harness.mast.calibration").joinpath("calibration.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def remark(slug: str, taxonomy: str | None, simulated: bool, corrected: bool) -> str:
    """Why a mode is not validated; empty where it is: by this run's own calibration, or for simulated models by the
    one that comes with the detectors. `taxonomy` is the hash that the plan froze."""
    if corrected:
        return ""
    if not simulated:
        return "no calibration on traces of this model"
    if taxonomy != shipped()["taxonomy"]:
        return "calibrated for another version of the taxonomy"
    mode = shipped()["modes"].get(slug)
    if mode is None:
        return "never calibrated"
    return "" if mode["status"] == DECIDES else f"calibration: {mode['status']}"
