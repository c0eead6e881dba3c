"""MAST 1.3, step repetition: finished work done again with nothing new (docs/sources M1).

Decides: the same tool with the same canonical arguments again, where the earlier call succeeded, nothing
was changed and no `wait` passed in between, and the result says the same; an attempt that a guard denied
counts too, so that a guard cannot win by suppressing the symptom. `value` is the share of redundant calls
among all attempted calls: the flag alone carries little signal (base rates near 85 % in both outcomes),
so compare the rate.
Not: retry after an error, polling after a change or a wait, other arguments, another window or a greater
limit; a restart, whose calls are conversation_reset's.
Blind spots: time that passes without `wait` (a slow model polling counts as repetition); repetition
spread over differently worded arguments; repeated reasoning without calls.
"""

from __future__ import annotations

import re
from functools import lru_cache

from harness.mast.detectors.conversation_reset import restarted
from harness.mast.spans import label, span
from harness.mast.view import AMOUNT_ARGS, WAIT, Call, TraceType, TraceView
from harness.records import Label

SLUGS = ("step_repetition",)
DECLARES: dict[TraceType, str] = {"single": "decides", "roles": "decides", "log": "decides"}
MIN_REDUNDANT = 1
"""Redundant calls from which the flag is set."""
SAME = 0.95
"""Jaccard similarity of two results from which they say the same."""

_VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?"
    r'|(?<="age":)"[^"]*"'
    r"|(?<=[:\[,])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[,}\]])"
)
"""What differs between two readings of an unchanged system: clocks, ages, and all numbers in JSON (counters,
measured values). States are strings."""
_PARTS = re.compile(r"[,{}\[\]\n]+")


def detect(view: TraceView) -> tuple[Label, ...]:
    """One label; not applicable without calls."""
    attempted = [call for call in view.calls if call.name != WAIT]
    if not attempted:
        return (label("step_repetition", "not_applicable", "step_repetition", note="no tool calls"),)
    pairs = redundant(view)
    value = len(pairs) / len(attempted)
    note = f"{len(pairs)} of {len(attempted)} calls redundant"
    spans = [span(again.event, also=[first.event]) for first, again in pairs]
    present = len(pairs) >= MIN_REDUNDANT
    return (
        label("step_repetition", "present" if present else "absent", "step_repetition", spans, note, value),
    )


def redundant(view: TraceView) -> list[tuple[Call, Call]]:
    """(earlier call, its redundant repetition), in order."""
    if "redundant" not in view.memo:
        view.memo["redundant"] = _redundant(view)
    found: list[tuple[Call, Call]] = view.memo["redundant"]
    return found


def _redundant(view: TraceView) -> list[tuple[Call, Call]]:
    done: dict[tuple[str, str], Call] = {}
    replayed = {call.i for call in restarted(view)}
    found: list[tuple[Call, Call]] = []
    for call in view.calls:
        if call.name == WAIT:
            if call.ok:
                done.clear()
            continue
        earlier = done.get(call.key)
        asked = earlier is not None and call.i not in replayed and not _asks_more(earlier, call)
        if earlier is not None and asked and (call.denied or (call.ok and same(earlier.text, call.text))):
            found.append((earlier, call))
        if call.changed:
            done.clear()
        if call.ok:
            done[call.key] = call
    return found


def _asks_more(earlier: Call, later: Call) -> bool:
    """The later call asks for more of the same (0 means all): a new question."""
    for name in AMOUNT_ARGS & later.event.args.keys() & earlier.event.args.keys():
        before, after = earlier.event.args[name], later.event.args[name]
        if isinstance(before, int) and isinstance(after, int) and before and (after > before or after == 0):
            return True
    return False


@lru_cache(maxsize=128)
def steady_parts(text: str) -> frozenset[str]:
    """The parts of a result without what differs between two readings."""
    return frozenset(_PARTS.split(_VOLATILE.sub("~", text)))


def same(one: str, other: str) -> bool:
    """Whether two results say the same, apart from clocks and measured values."""
    if one == other:
        return True
    first, second = steady_parts(one), steady_parts(other)
    return len(first & second) >= SAME * len(first | second)
