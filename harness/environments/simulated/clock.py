"""Virtual time: the clock, the queue of things due later, and seeded draws that need no generator state.

Owns: time stamps in the API server's form and `draw`. Does not own: what happens when something is due
(`world.py`).
"""

from __future__ import annotations

import hashlib
import heapq
from datetime import UTC, datetime
from functools import lru_cache

Key = tuple[str, str]
"""(namespace, name); the namespace of cluster-scoped objects is empty."""

BEGIN = datetime(2026, 1, 15, 9, tzinfo=UTC).timestamp()
"""When worlds begin, before their seeded offset."""

SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""The characters of generated names: no vowels, no digits that look like letters."""


class Clock:
    """The time of one world, shared by its parts."""

    __slots__ = ("now",)

    def __init__(self, now: float) -> None:
        self.now = now


class EventQueue:
    """Controllers to wake, by time; first in, first out among equal times."""

    __slots__ = ("_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, str, Key]] = []
        self._serial = 0

    def push(self, at: float, controller: str, key: Key) -> None:
        """Wake `controller` for `key` at a time."""
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, controller, key))

    def next_time(self) -> float:
        """When the next wake-up is due; infinity when there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def pop(self) -> tuple[str, Key]:
        """Take the next wake-up."""
        _, _, controller, key = heapq.heappop(self._heap)
        return controller, key

    def __len__(self) -> int:
        return len(self._heap)


@lru_cache(maxsize=4096)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(time: float) -> str:
    """A time as the API server writes it (whole seconds)."""
    return _iso(int(time))


@lru_cache(maxsize=4096)
def epoch(stamp: str) -> float:
    """The time of an API server's stamp."""
    return datetime.fromisoformat(stamp).timestamp()


def digest(seed: int, *parts: object) -> bytes:
    """16 bytes that depend on nothing but the arguments."""
    return hashlib.blake2b(repr((seed, parts)).encode(), digest_size=16).digest()


def draw(seed: int, *parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the arguments."""
    return int.from_bytes(digest(seed, *parts)[:7], "big") / 2**56


def suffix(seed: int, *parts: object, length: int = 5) -> str:
    """A name suffix such as `x2x4z`."""
    return "".join(SAFE_ALPHABET[byte % len(SAFE_ALPHABET)] for byte in digest(seed, *parts)[:length])
