"""Seeded draws that do not disturb each other.

Owns: one number in [0, 1) per (seed, purpose, ordinal). Every decision has a purpose of its own, so a text
that changes one decision leaves the draws of all others as they were. Does not own: what is decided with
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


@lru_cache(maxsize=65536)
def draw(seed: int, purpose: str, ordinal: int | str = 0) -> float:
    """A number in [0, 1) that depends on nothing but the arguments."""
    digest = blake2b(f"{seed}:{purpose}:{ordinal}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)


def pick(seed: int, purpose: str, ordinal: int | str, options: Sequence[T]) -> T:
    """One of the options, evenly."""
    return options[int(draw(seed, purpose, ordinal) * len(options))]
