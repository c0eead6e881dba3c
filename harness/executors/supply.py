"""Which trials a worker gets next, and who is to blame when one dies.

Trials of the same scenario and repeat share an expensive start, so a worker goes through one such group before it
takes the next, and helps others when no group is left. When a worker dies, everything that it had in flight is
under suspicion, mostly wrongly: the lost trials run again in two halves, each by itself on one worker, and a half
that is lost again is halved again. A trial that killed its worker `limit` times while it was alone is given up; an
innocent one finishes in whichever half the culprit is not.
Owns: order and blame, as plain data. Does not own: processes (`ray.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from harness.records import TrialSpec


class Job(NamedTuple):
    """A trial to run."""

    spec: TrialSpec
    lost: int = 0
    """Executions that ended with the death of a worker."""
    alone: int = 0
    """Those of them in which nothing else was in flight there."""


class Supply:
    """Everything that still has to be handed out."""

    def __init__(self, owed: Iterable[TrialSpec], limit: int) -> None:
        self._groups: Iterator[deque[Job]] = (
            deque(map(Job, group))
            for _, group in groupby(owed, key=lambda spec: (spec.scenario, spec.repeat))
        )
        self._limit = limit
        self._exhausted = False
        self._own: dict[int, deque[Job]] = {}
        self._suspects: deque[Sequence[Job]] = deque()
        self._watched: set[int] = set()
        """Workers that run suspects, which get no other work before they are through."""
        self._emptying: int | None = None
        """The worker that gets no new work so that suspects can run there by themselves."""

    @property
    def empty(self) -> bool:
        """Nothing is left to hand out."""
        return self._exhausted and not self._suspects and not any(self._own.values())

    def take(self, worker: int, room: int, busy: bool) -> list[Job]:
        """Up to `room` jobs for a worker; `busy` when it has some already."""
        if not busy:
            self._watched.discard(worker)
            if self._suspects:
                self._watched.add(worker)
                self._emptying = None
                return list(self._suspects.popleft())
        if worker in self._watched or self._is_emptied(worker):
            return []
        return list(self._regular(worker, room))

    def _is_emptied(self, worker: int) -> bool:
        """While suspects wait, the first busy worker that asks gets nothing more until it can take them."""
        if not self._suspects:
            self._emptying = None
            return False
        if self._emptying is None:
            self._emptying = worker
        return self._emptying == worker

    def lost(self, worker: int, jobs: Sequence[Job]) -> list[Job]:
        """A worker died with these in flight. Returns those that are given up; the rest runs again."""
        self._watched.discard(worker)
        self._emptying = None if self._emptying == worker else self._emptying
        alone = int(len(jobs) == 1)
        jobs = [Job(job.spec, job.lost + 1, job.alone + alone) for job in jobs]
        given_up = [job for job in jobs if job.alone >= self._limit]
        left = [job for job in jobs if job.alone < self._limit]
        middle = (len(left) + 1) // 2
        self._suspects.extend(half for half in (left[:middle], left[middle:]) if half)
        return given_up

    def _regular(self, worker: int, room: int) -> Iterator[Job]:
        own = self._own.setdefault(worker, deque())
        for _ in range(room):
            if not own and not self._exhausted:
                own.extend(self._next_group())
            source = own or max(self._own.values(), key=len)
            if not source:
                return
            yield source.popleft()

    def _next_group(self) -> Iterable[Job]:
        group = next(self._groups, None)
        self._exhausted = group is None
        return group or ()
