"""Finding the decisive turn of a failed trial without a judge: where re-rolling stops to help.

V(t) is the chance to succeed when the trial is continued anew from turn t. It is high at first and low at the end;
bisection finds the earliest turn from which it has collapsed, with few turns measured.
Owns: which turn is measured next, as a pure function of what is known. Does not own: running.
"""

from __future__ import annotations

from collections.abc import Mapping

COLLAPSED = 0.5
"""Share of V(0) below which the state counts as lost."""


def next_turn(values: Mapping[int, float], turns: int) -> int | None:
    """The turn to measure next, given V at measured turns. None: the search is over."""
    for end in (0, turns - 1):
        if end not in values:
            return end
    if not can_collapse(values, turns):
        return None
    low, high = bracket(values, turns)
    return (low + high) // 2 if high - low > 1 else None


def decisive(values: Mapping[int, float], turns: int) -> int | None:
    """The turn whose decision lost the state: V before it is good, V after it collapsed. None: not found, because
    re-rolls hardly ever succeed even from the start, or still do at the end."""
    if next_turn(values, turns) is not None or not can_collapse(values, turns):
        return None
    return bracket(values, turns)[0]


def can_collapse(values: Mapping[int, float], turns: int) -> bool:
    """Re-rolls succeed from the start and no longer at the end."""
    return turns > 1 and values[0] > 0 and values[turns - 1] < COLLAPSED * values[0]


def bracket(values: Mapping[int, float], turns: int) -> tuple[int, int]:
    """Last good and first collapsed turn along the path that bisection took."""
    low, high = 0, turns - 1
    while high - low > 1 and (middle := (low + high) // 2) in values:
        low, high = (middle, high) if values[middle] >= COLLAPSED * values[0] else (low, middle)
    return low, high
