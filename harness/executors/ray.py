"""The Ray executor: a few async actors with many trials in flight each.

Ray's own retries are off everywhere: a trial that Ray ran again in silence would be paid twice. There is no task
per trial either: the driver keeps one call open per worker, through which jobs go and finished trials come in
batches. When an actor dies it is replaced, and its trials run again as new attempts (`supply.py` says how).
Owns: the workers' lives and the driver's loop. Imported only when chosen.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import ray
from ray.exceptions import RayError, RayTaskError

from harness.broker.remote import broker_actor
from harness.code import code_digest
from harness.config import ExperimentConfig
from harness.errors import ConfigurationError, HarnessError, Problem, RunStopped
from harness.executors import OnFinished
from harness.executors.cluster import Slot, credentials_of, session, slots
from harness.executors.postponed import LeftOwed, PostponedTrials, tell
from harness.executors.supply import Job, Supply
from harness.executors.worker import Worker
from harness.finished import Finished, seal
from harness.interrupt import Stop
from harness.records import TrialSpec
from harness.trial import unplayed

Reference = Any
"""ray.ObjectRef; Ray ships no types that mypy could check."""
NEWS = msgspec.msgpack.Decoder(tuple[list[Finished], list[LeftOwed]])
START_FAILURES = 3
"""Workers in a row that die before they say hello, after which the run stops."""
PREFETCH_UNDER_S = 1.0
"""A worker whose trials come in faster than this gets as many again in advance, so that it does not wait for us."""


class RayExecutor:
    """Starts or joins a Ray cluster and drains the owed trials through its actors."""

    at_once = 0

    def execute(
        self, config: ExperimentConfig, owed: Sequence[TrialSpec], on_finished: OnFinished, stop: Stop
    ) -> Sequence[str]:
        """Run every owed trial on the cluster. Raises RunStopped when no worker can be had."""
        postponed = PostponedTrials(stop)
        with session(config), broker_actor(config, tell) as broker:
            pool = Pool(config, owed, postponed, broker)
            self.at_once = pool.lanes
            pool.drain(on_finished)
        return postponed.reasons


class Shared(NamedTuple):
    """What every worker is given."""

    config: Reference
    credentials: Mapping[str, str]
    broker: Reference | None
    """None where no call costs anything."""


class Member:
    """One worker as the driver sees it."""

    def __init__(self, number: int, slot: Slot, shared: Shared) -> None:
        self.number = number
        self.slot = slot
        self.flying: dict[str, Job] = {}
        self.call: Reference | None = None
        self.ready = False
        self.prefetch = 0
        self._shared = shared
        self.start()

    def start(self) -> None:
        """Start the actor, or another one in its place."""
        actor = ray.remote(Worker).options(
            num_cpus=1,
            resources=dict(self.slot.resources),
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        shared = self._shared
        self.actor = actor.remote(shared.config, self.slot.lanes, shared.credentials, shared.broker)
        self.ready, self.prefetch = False, 0
        self.call = self.actor.hello.remote()

    @property
    def idle(self) -> bool:
        """It is ready, and no call to it is open."""
        return self.ready and self.call is None

    @property
    def room(self) -> int:
        """How many more jobs it can take."""
        return self.slot.lanes + self.prefetch - len(self.flying)

    def engage(self, jobs: Sequence[Job]) -> None:
        """Hand over jobs, and leave a call open as long as it has any."""
        self.flying |= {job.spec.trial_id: job for job in jobs}
        if self.flying:
            self.asked = time.monotonic()
            self.call = self.actor.exchange.remote(jobs)

    def collect(self) -> tuple[list[Finished], list[LeftOwed]]:
        """What the answered call brought. Raises RayError when the worker died, and what no trial survives."""
        call, self.call = self.call, None
        answer = ray.get(call)
        if not self.ready:
            require_same_code(answer)
            self.ready = True
            return [], []
        finished, left = NEWS.decode(answer)
        for trial_id in (*(one.trial_id for one in finished), *(one.trial_id for one in left)):
            del self.flying[trial_id]
        quick = time.monotonic() - self.asked < PREFETCH_UNDER_S
        self.prefetch = min(len(finished), self.slot.lanes) if quick else 0
        return finished, left


class Pool:
    """The members and what they still have to do."""

    def __init__(
        self,
        config: ExperimentConfig,
        owed: Sequence[TrialSpec],
        postponed: PostponedTrials,
        broker: Reference | None,
    ) -> None:
        self._settings = config.executor
        self._postponed = postponed
        self._broker = broker
        self._supply = Supply(owed, config.max_attempts)
        self._stop = postponed.stop
        shared = Shared(ray.put(config), credentials_of(config), broker)
        self._members = [Member(n, slot, shared) for n, slot in enumerate(slots(config, len(owed)))]
        self._failed_starts = 0
        self._seen_ready = time.monotonic()

    @property
    def lanes(self) -> int:
        """Trials that all members together run at a time."""
        return sum(member.slot.lanes for member in self._members)

    def drain(self, on_finished: OnFinished) -> None:
        """Run until nothing is owed, or until those in flight are finished after a request to stop."""
        while self._engage():
            finished = [one for member in self._answered() for one in self._collect(member)]
            if finished:
                on_finished(finished)
            self._require_a_worker()
        closing = [member.actor.close.remote() for member in self._members if member.ready]
        ray.wait(closing, num_returns=len(closing), timeout=10)
        for member in self._members:
            ray.kill(member.actor)

    def _engage(self) -> bool:
        """Give idle members work; whether anything is left to wait for."""
        for member in filter(lambda one: one.idle, self._members):
            stopping = self._stop.requested
            busy = bool(member.flying)
            member.engage([] if stopping else self._supply.take(member.number, member.room, busy))
        done = self._stop.requested or self._supply.empty
        return not done or any(member.flying for member in self._members)

    def _answered(self) -> list[Member]:
        """Members whose open call was answered; waits a second for the first."""
        calls = {member.call: member for member in self._members if member.call is not None}
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=1)
        if ready:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return [calls[call] for call in ready]

    def _collect(self, member: Member) -> list[Finished]:
        try:
            finished, left = member.collect()
        except RayTaskError as error:
            if isinstance(error.cause, HarnessError):
                raise error.cause from None
            raise RunStopped("worker_broken", f"a worker cannot go on: {error.cause!r}") from None
        except RayError as error:
            return self._lost(member, str(error).strip().splitlines()[0])
        self._failed_starts = 0
        for one in left:
            self._postponed.add(one)
        return finished

    def _lost(self, member: Member, why: str) -> list[Finished]:
        """A worker died: start another in its place and run its trials again, but for those that are to blame."""
        if not member.ready:
            self._failed_starts += 1
            if self._failed_starts >= START_FAILURES:
                raise RunStopped("no_worker", f"workers die before they take any trial: {why}")
        ray.kill(member.actor)
        if self._broker is not None:
            self._broker.abandoned.remote([*member.flying])
        jobs, member.flying = list(member.flying.values()), {}
        given_up = self._supply.lost(member.number, jobs)
        member.start()
        return [
            seal(*unplayed(job.spec, "infra_worker_lost", f"quarantined: {why}", job.lost))
            for job in given_up
        ]

    def _require_a_worker(self) -> None:
        if any(member.ready for member in self._members):
            self._seen_ready = time.monotonic()
        elif time.monotonic() - self._seen_ready > self._settings.start_timeout_s:
            limit = self._settings.start_timeout_s
            what = f"none could be placed in {limit:g} s; `ray status` shows what is missing"
            raise RunStopped("no_worker", what)


def require_same_code(digest: str) -> None:
    """Raise ConfigurationError when a worker runs other code than this process."""
    if digest != code_digest():
        what = f"a worker runs other code ({digest}) than the driver ({code_digest()})"
        hint = "submit from the tree that the driver runs, or install one version on every node"
        raise ConfigurationError(Problem("executor", what, hint))
