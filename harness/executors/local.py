"""The local executor: all trials in one process and one event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

from harness.broker.office import open_meters
from harness.config import ExperimentConfig
from harness.errors import HarnessError, Postponed
from harness.executors import OnFinished
from harness.executors.claims import local_lanes
from harness.executors.postponed import LeftOwed, PostponedTrials, tell
from harness.finished import Finished, seal
from harness.interrupt import Stop
from harness.records import TrialSpec
from harness.runner import TrialRunner


class LocalExecutor:
    """Keeps `in_flight` trials going at a time, or as many as what they claim allows."""

    at_once = 0

    def execute(
        self, config: ExperimentConfig, owed: Sequence[TrialSpec], on_finished: OnFinished, stop: Stop
    ) -> Sequence[str]:
        """Run every owed trial in this process."""
        postponed = PostponedTrials(stop)
        self.at_once = local_lanes(config)
        asyncio.run(self._with_broker(config, iter(owed), on_finished, postponed))
        return postponed.reasons

    async def _with_broker(
        self,
        config: ExperimentConfig,
        owed: Iterator[TrialSpec],
        on_finished: OnFinished,
        postponed: PostponedTrials,
    ) -> None:
        async with open_meters(config, tell) as meters:
            await self._drain(TrialRunner(config, meters), owed, on_finished, postponed)

    async def _drain(
        self,
        runner: TrialRunner,
        owed: Iterator[TrialSpec],
        on_finished: OnFinished,
        postponed: PostponedTrials,
    ) -> None:
        def store(batch: Sequence[Finished]) -> None:
            on_finished(batch)
            runner.stored([one.trial_id for one in batch])

        outbox = Outbox(store)

        async def lane() -> None:
            while not postponed.stop.requested and (spec := next(owed, None)) is not None:
                try:
                    output = await runner.run(spec)
                except Postponed as reason:
                    postponed.add(LeftOwed(spec.trial_id, reason.why, reason.everything))
                    continue
                await outbox.put(seal(*output))

        async def lanes() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.at_once):
                    group.create_task(lane())
            outbox.close()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(outbox.send())
                group.create_task(lanes())
        except* HarnessError as errors:
            raise first_of(errors) from None
        finally:
            outbox.flush()
            await runner.close()


class Outbox:
    """Finished trials on their way to the disk: while one batch is made durable, the next one gathers."""

    def __init__(self, on_finished: OnFinished) -> None:
        self._on_finished = on_finished
        self._waiting: list[Finished] = []
        self._news = asyncio.Event()
        self._closed = False
        self._sending = threading.Lock()

    async def put(self, finished: Finished) -> None:
        """Have a trial made durable soon; others get their turn here, as a simulated trial waits for nothing else."""
        self._waiting.append(finished)
        self._news.set()
        await asyncio.sleep(0)

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._news.set()

    async def send(self) -> None:
        """Hand over batches, beside the event loop, until closed."""
        while not self._closed or self._waiting:
            await self._news.wait()
            self._news.clear()
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Hand over what waits; one batch at a time, also when the loop ends while a batch is under way."""
        with self._sending:
            batch, self._waiting = self._waiting, []
            if batch:
                self._on_finished(batch)


def first_of(group: BaseExceptionGroup[HarnessError]) -> HarnessError:
    """One of the errors: all lanes stopped for the same reason."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
