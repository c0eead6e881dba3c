"""MAST 1.2, disobey role specification: a role of a team, or a phase, does what is not its work (docs/sources M1).

Decides, where an architecture limits its roles: a role attempted a call that its tools do not hold, whether the
architecture refused it or not. Not applicable to one agent without roles or phases.
Not: the right role with a bad result; a tool that exists for nobody (disobey_task).
Blind spots: doing another role's work with tools that both have.
"""

from __future__ import annotations

import re

from harness.mast.detectors.disobey_task import UNKNOWN_TOOL
from harness.mast.spans import label, span
from harness.mast.view import Call, TraceType, TraceView
from harness.records import Label, Span

SLUGS = ("disobey_role",)
DECLARES: dict[TraceType, str] = {"single": "not_applicable", "roles": "decides", "log": "not_applicable"}
_REFUSED = re.compile(r"\bis not for the [\w-]+ to call")


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label; not applicable when no role has limits."""
    limits = {opening.role: opening.tools for opening in view.instructions if opening.tools is not None}
    if not limits:
        return (label("disobey_role", "not_applicable", "disobey_role", note="no role has limits"),)
    spans: list[Span] = []
    for call in (*view.calls, *view.submissions):
        tools = limits.get(call.event.role)
        foreign = tools is not None and call.name not in tools and not _unknown(call)
        if foreign or (call.denied and _REFUSED.search(call.text)):
            spans.append(span(call.event, call.name))
    note = f"{len(spans)} calls outside of the role" if spans else ""
    return (label("disobey_role", "present" if spans else "absent", "disobey_role", spans, note),)


def _unknown(call: Call) -> bool:
    return call.result is not None and not call.result.ok and bool(UNKNOWN_TOOL.search(call.text[:200]))
