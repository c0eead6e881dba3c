"""A detector: the agent apologises. Its label stands beside MAST's modes and is not counted among them."""

from __future__ import annotations

from harness.mast.spans import label, span
from harness.mast.view import TraceType, TraceView
from harness.records import Label

SLUGS = ("acme_apology",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "decides"}


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label, with the words that show it."""
    sorry = [event for event in view.said if "sorry" in event.text.lower()]
    found = [span(event, "sorry") for event in sorry]
    return (label(SLUGS[0], "present" if found else "absent", "acme_apology", found),)
