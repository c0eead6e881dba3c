"""Rates: requests and tokens per minute as configured, and fewer calls at a time where a provider says 429.

Owns: two small controllers, with the time handed in. Does not own: whose turn it is (`core`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

MINUTE = 60.0
BURST_S = 5.0
"""Within so many seconds no more than their share of a minute's requests, so that a start is no stampede."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Without a Retry-After: seconds, doubling."""


@dataclass(slots=True)
class Passed:
    """Something that was let through a window."""

    at: float
    amount: float


class Window:
    """At most `limit` in any `seconds`, by a log of what passed. What is larger waits for an empty log."""

    def __init__(self, limit: float, seconds: float = MINUTE) -> None:
        self._limit = limit
        self._seconds = seconds
        self._log: deque[Passed] = deque()
        self._sum = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may pass; 0 when it may now."""
        while self._log and self._log[0].at + self._seconds <= now:
            self._sum -= self._log.popleft().amount
        excess = self._sum + min(amount, self._limit) - self._limit
        pause = 0.0
        for passed in self._log:
            if excess <= 0:
                break
            excess -= passed.amount
            pause = passed.at + self._seconds - now
        return pause

    def take(self, amount: float, now: float) -> Passed:
        """Let `amount` pass; `correct` it once it is known better."""
        passed = Passed(now, amount)
        self._log.append(passed)
        self._sum += amount
        return passed

    def correct(self, passed: Passed, amount: float) -> None:
        """What passed turned out to be `amount`."""
        if self._log and passed.at >= self._log[0].at:
            self._sum += amount - passed.amount
        passed.amount = amount


class Congestion:
    """Calls at a time to one model: no limit until a 429; then halved once per wave, growing by one per wave that is
    answered (additive increase, multiplicative decrease, as in TCP)."""

    def __init__(self) -> None:
        self.limit = math.inf
        self.flying = 0
        self.paused_until = -math.inf
        self.wave = 0
        """Calls of an earlier wave were sent before the last decrease: their 429s tell nothing new."""
        self._in_a_row = 0

    def wait(self, now: float) -> float:
        """Seconds until another call may be made; infinite: once one has come back."""
        if now < self.paused_until:
            return self.paused_until - now
        return 0.0 if self.flying < self.limit else math.inf

    def limited(self, wave: int, retry_after: float | None, now: float) -> None:
        """A call of `wave` got a 429."""
        if wave == self.wave:
            self.limit = max(1.0, min(self.limit, self.flying + 1) / 2)
            self.wave += 1
            self._in_a_row += 1
        pause = min(FIRST_PAUSE_S * 2 ** (self._in_a_row - 1), LONGEST_PAUSE_S)
        self.paused_until = max(self.paused_until, now + (pause if retry_after is None else retry_after))

    def answered(self) -> None:
        """A call was answered."""
        self._in_a_row = 0
        self.limit += 1 / self.limit
