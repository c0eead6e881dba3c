"""MAST 2.3, task derailment: effort leaves the objective and does not return (docs/sources M1).

Proposes, for a judge: a run of calls about objects that neither the alerts nor any change or alarm that was seen
nor the answer has anything to do with; or, after a failed call, a run of calls on the agent's own files and
scripts. Never decides: whether a detour bears on the objective is a judgement.
Not: overviews that name no object; changes; a single look at a neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from harness.mast.answers import Finding, found_label
from harness.mast.evidence import mentions
from harness.mast.salience import subjects, target
from harness.mast.spans import span
from harness.mast.view import WAIT, Call, TraceType, TraceView
from harness.records import Label

SLUGS = ("derailment",)
DECLARES: dict[TraceType, str] = {"single": "proposes", "roles": "proposes", "log": "proposes"}
MIN_RUN = 2
MIN_OWN_FILES = 4
_OWN_FILES = re.compile(r"\.py\b|\.sh\b|<<\s*'?EOF|\bpip install\b|\bpython3?\b", re.I)


def detect(view: TraceView) -> tuple[Label, ...]:
    """One proposal."""
    found = [*_off_topic(view), *_own_scripts(view)]
    return (found_label(SLUGS[0], SLUGS[0], found, "proposes"),)


def _off_topic(view: TraceView) -> Iterator[Finding]:
    names = subjects(view)
    if not names:
        return
    for run in _runs(view.calls, lambda call: _elsewhere(call, names)):
        if len(run) >= MIN_RUN:
            about = ", ".join(dict.fromkeys(target(call) for call in run))
            where = span(run[0].event, also=[call.event for call in run[1:]])
            yield Finding(f"{len(run)} calls about {about}", where)


def _elsewhere(call: Call, names: frozenset[str]) -> bool | None:
    """None for calls that are about nothing in particular."""
    if call.name == WAIT or call.event.mutating or not target(call):
        return None
    return not any(mentions(call.args_text, name) for name in names)


def _own_scripts(view: TraceView) -> Iterator[Finding]:
    def own(call: Call) -> bool | None:
        return bool(_OWN_FILES.search(call.args_text))

    for run in _runs(view.calls, own):
        failed = [call for call in run if not call.ok]
        if len(run) >= MIN_OWN_FILES and failed:
            where = span(run[0].event, also=[call.event for call in run[1:]])
            yield Finding(f"{len(run)} calls on its own scripts after a failure", where)


def _runs(calls: list[Call], off: Callable[[Call], bool | None]) -> Iterator[list[Call]]:
    """Unbroken runs of calls for which `off` holds; calls for which it is None neither break nor extend one."""
    run: list[Call] = []
    for call in calls:
        verdict = off(call)
        if verdict:
            run.append(call)
        elif verdict is False and run:
            yield run
            run = []
    if run:
        yield run
