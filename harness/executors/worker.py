"""The Ray actor: one process with one TrialRunner and many trials in flight.

The driver has one call open per worker: `exchange` takes new jobs and returns as soon as something is finished,
with everything that is. Owns: lanes and batches. Does not own: which trials come here (`supply.py`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.broker.meters import Meters
from harness.broker.office import keeps_replies
from harness.broker.remote import RemoteClerk
from harness.code import code_digest
from harness.config import ExperimentConfig
from harness.errors import Postponed
from harness.executors.postponed import LeftOwed
from harness.executors.supply import Job
from harness.finished import Finished, seal
from harness.runner import TrialRunner
from harness.trial import TrialOutput, preceded, unplayed


class Worker:
    """Runs jobs in `lanes` lanes."""

    def __init__(
        self, config: ExperimentConfig, lanes: int, credentials: Mapping[str, str], broker: Any
    ) -> None:
        os.environ.update(credentials)
        self._config = config
        self._clerk = RemoteClerk(broker) if broker is not None else None
        self._free = asyncio.Semaphore(lanes)
        self._finished: list[Finished] = []
        self._left: list[LeftOwed] = []
        self._delivered: list[str] = []
        """Trials of the last answer; the driver stores it before it calls again."""
        self._failure: BaseException | None = None
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def hello(self) -> str:
        """Get ready; the digest of the code that runs here. Raises ConfigurationError for what this node lacks."""
        meters = Meters(self._clerk, keeps_replies(self._config)) if self._clerk is not None else None
        self._runner = TrialRunner(self._config, meters)
        return code_digest()

    async def exchange(self, jobs: Sequence[Job]) -> bytes:
        """Take jobs and wait for news, at least one: msgpack lists of Finished and of LeftOwed. Raises what no trial
        survives (ConfigurationError, RunStopped)."""
        self._runner.stored(self._delivered)
        for job in jobs:
            task = asyncio.create_task(self._run(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self._news.wait()
        self._news.clear()
        if self._failure is not None:
            raise self._failure
        news = (self._finished, self._left)
        self._delivered = [one.trial_id for one in self._finished]
        self._finished, self._left = [], []
        return msgspec.msgpack.encode(news)

    async def close(self) -> None:
        """Give back what the runner's models hold."""
        self._runner.stored(self._delivered)
        await self._runner.close()
        if self._clerk is not None:
            await self._clerk.close()

    async def _run(self, job: Job) -> None:
        async with self._free:
            try:
                output = await self._runner.run(job.spec)
                self._finished.append(seal(*with_losses(output, job)))
            except Postponed as reason:
                self._left.append(LeftOwed(job.spec.trial_id, reason.why, reason.everything))
            except Exception as failure:
                self._failure = failure
            self._news.set()
        await asyncio.sleep(0)  # a simulated trial waits for nothing: the driver's call gets its turn here


def with_losses(output: TrialOutput, job: Job) -> TrialOutput:
    """The output with the executions before it that took their workers along."""
    lost = [unplayed(job.spec, "infra_worker_lost", "its worker died") for _ in range(job.lost)]
    return preceded(output, lost)
