"""The local executor: all trials in one process and one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from harness.config import ExperimentConfig
from harness.errors import ConfigurationError
from harness.executors import OnFinished
from harness.records import TrialSpec
from harness.runner import TrialRunner


class LocalExecutor:
    """Keeps `in_flight` trials going at a time."""

    def execute(self, config: ExperimentConfig, owed: Sequence[TrialSpec], on_finished: OnFinished) -> None:
        """Run every owed trial in this process."""
        asyncio.run(self._drain(config, iter(owed), on_finished))

    async def _drain(
        self, config: ExperimentConfig, owed: Iterator[TrialSpec], on_finished: OnFinished
    ) -> None:
        runner = TrialRunner(config)

        async def lane() -> None:
            for spec in owed:
                on_finished([await runner.run(spec)])

        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(config.executor.in_flight):
                    lanes.create_task(lane())
        except* ConfigurationError as group:
            raise first_of(group) from None
        finally:
            await runner.close()


def first_of(group: BaseExceptionGroup[ConfigurationError]) -> ConfigurationError:
    """One of the errors: all lanes stopped for the same reason."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
