"""Where trials run. Both executors drive the same TrialRunner and give the same numbers for the same seed.

local   one process, many trials in flight in one event loop
ray     a few async actors, many trials in flight each; Ray's own retries are off
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from harness.config import ExperimentConfig
from harness.finished import Finished
from harness.interrupt import Stop
from harness.records import TrialSpec

OnFinished = Callable[[Sequence[Finished]], None]
"""Called in the driver, one call at a time, with each batch of finished trials; returns when they are durable."""


class Executor(Protocol):
    """Runs what is owed."""

    at_once: int
    """Trials that run at a time; 0 before `execute` knows."""

    def execute(
        self, config: ExperimentConfig, owed: Sequence[TrialSpec], on_finished: OnFinished, stop: Stop
    ) -> Sequence[str]:
        """Run every owed trial, handing over results as they come; once `stop` is requested, only those in flight.
        Returns why trials could not go on in this run (`errors.Postponed`), if any could not."""


@contextmanager
def executor_session(config: ExperimentConfig) -> Iterator[None]:
    """Keep what several executions in a row can share: one Ray cluster instead of one per batch."""
    if config.executor.kind != "ray":
        yield
        return
    from harness.executors.cluster import session

    with session(config):
        yield


def create_executor(kind: str) -> Executor:
    """The executor of that kind; Ray is imported only when asked for."""
    if kind == "ray":
        from harness.executors.ray import RayExecutor

        return RayExecutor()
    from harness.executors.local import LocalExecutor

    return LocalExecutor()
