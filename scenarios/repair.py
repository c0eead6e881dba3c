"""Published ground truth in the strict form that scenario files have: every id exists once, every filter compiles.

Owns: the repairs, all of which keep what a right answer is: references to nothing are dropped, groups of one id
become aliases of each other, a filter that does not compile is read as a glob. `lint.py` reports what needed one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.scoring.matcher import compile_filter
from scenarios.schema import GroundTruth, Group


def loadable(truth: GroundTruth) -> GroundTruth:
    """The ground truth without anything that a scenario file may not contain."""
    groups = list(_distinct(truth))
    ids = {group.id for group in groups}
    renamed = [(group.id.rpartition("#")[0], group.id) for group in groups if "#" in group.id]
    aliases = (tuple(name for name in alias if name in ids) for alias in truth.aliases)
    return truth.model_copy(
        update={
            "groups": tuple(groups),
            "aliases": (
                *(alias for alias in aliases if alias),
                *(pair for pair in renamed if pair[0] in ids),
            ),
            "propagations": tuple(
                edge for edge in truth.propagations if edge.source in ids and edge.target in ids
            ),
            "alerts": tuple(
                alert if alert.group in ids else alert.model_copy(update={"group": ""})
                for alert in truth.alerts
            ),
            "faults": tuple(
                fault if fault.group in ids else fault.model_copy(update={"group": ""})
                for fault in truth.faults
            ),
        }
    )


def _distinct(truth: GroundTruth) -> Iterator[Group]:
    """Each group once, under an id of its own: a later group of a used id is called `id#2`, `id#3`, ..."""
    seen: dict[str, list[Group]] = {}
    for group in truth.groups:
        same = seen.setdefault(group.id, [])
        if group in same:
            continue
        same.append(group)
        name = group.id if len(same) == 1 else f"{group.id}#{len(same)}"
        yield group.model_copy(update={"id": name, "filter": tuple(map(_compilable, group.filter))})


def _compilable(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error:
        return compile_filter(pattern).regex.pattern
    return pattern
