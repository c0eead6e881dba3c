"""What can be reached in a topology of phases or roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def reachable(start: str, follow: Mapping[str, Sequence[str]]) -> set[str]:
    """Every node on some way from the start, the start included. `follow` has an entry for each node."""
    found, todo = set[str](), [start]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo.extend(follow[node])
    return found
