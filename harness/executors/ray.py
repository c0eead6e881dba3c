"""The Ray executor: a few async actors with many trials in flight each.

Ray's own retries are off everywhere: a trial that Ray ran again in silence would be paid twice. When an actor
dies, the trials that it had in flight are run again as new attempts, counted, and after `max_attempts` losses
they are recorded as excluded with cause `infra_worker_lost`.
Owns: placement, in-flight windows, lost workers. Imported only when chosen.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from harness.config import ExecutorConfig, ExperimentConfig
from harness.executors import OnFinished
from harness.records import TrialRecord, TrialSpec
from harness.trial import TrialOutput

Reference = Any
"""ray.ObjectRef; Ray ships no types that mypy could check."""


class Worker:
    """The actor: one TrialRunner in one process."""

    def __init__(self, config: ExperimentConfig) -> None:
        from harness.runner import TrialRunner

        self._runner = TrialRunner(config)

    async def run(self, spec: TrialSpec) -> TrialOutput:
        """Run one trial."""
        return await self._runner.run(spec)

    async def close(self) -> None:
        """Give back what the runner's models hold."""
        await self._runner.close()


class RayExecutor:
    """Starts or joins a Ray cluster and drains the owed trials through its actors."""

    def execute(self, config: ExperimentConfig, owed: Sequence[TrialSpec], on_finished: OnFinished) -> None:
        """Run every owed trial on the cluster."""
        with session(config.executor):
            Pool(config, owed).drain(on_finished)


@contextmanager
def session(settings: ExecutorConfig) -> Iterator[None]:
    """A connection to Ray; the outermost one opens and closes it."""
    if ray.is_initialized():
        yield
        return
    connect(settings)
    try:
        yield
    finally:
        ray.shutdown()


def connect(settings: ExecutorConfig) -> None:
    """Join the configured cluster, or start a local one that carries this interpreter's import path."""
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(import_path())}}
    address = settings.address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
    ray.init(runtime_env=environment, log_to_driver=False, logging_level="error", **options)


def import_path() -> list[str]:
    """Directories from which this process imports the harness, so that local workers find the same code."""
    import harness

    package = os.path.dirname(os.path.dirname(os.path.abspath(harness.__file__)))
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [package, *(entry for entry in known if entry and entry != package)]


class Pool:
    """Actors, what each has in flight, and what still waits.

    Trials of the same scenario and repeat share an expensive start, so an actor works through one such group
    before it takes the next, and helps others when no group is left.
    """

    def __init__(self, config: ExperimentConfig, owed: Sequence[TrialSpec]) -> None:
        self._config = config
        self._reference = ray.put(config)
        self._groups = deque(
            deque(group) for _, group in groupby(owed, key=lambda spec: (spec.scenario, spec.repeat))
        )
        count = config.executor.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        count = max(1, min(count, len(owed)))
        self._actors = [self._start() for _ in range(count)]
        self._own: list[deque[TrialSpec]] = [deque() for _ in range(count)]
        self._flying: dict[Reference, tuple[int, TrialSpec]] = {}
        self._losses: Counter[str] = Counter()

    def drain(self, on_finished: OnFinished) -> None:
        """Run until nothing is owed."""
        self._fill()
        while self._flying:
            ready, _ = ray.wait(list(self._flying), num_returns=1, timeout=5)
            if ready:
                more, _ = ray.wait(list(self._flying), num_returns=len(self._flying), timeout=0)
                on_finished([output for reference in more for output in self._collect(reference)])
            self._fill()
        ray.get([actor.close.remote() for actor in self._actors])

    def _start(self) -> Any:
        actor = ray.remote(Worker).options(
            num_cpus=1,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=self._config.executor.in_flight,
            scheduling_strategy="SPREAD",
        )
        return actor.remote(self._reference)

    def _fill(self) -> None:
        for number, actor in enumerate(self._actors):
            flying = sum(1 for owner, _ in self._flying.values() if owner == number)
            for spec in self._take(number, self._config.executor.in_flight - flying):
                self._flying[actor.run.remote(spec)] = (number, spec)

    def _take(self, number: int, room: int) -> Iterator[TrialSpec]:
        for _ in range(room):
            if not self._own[number] and self._groups:
                self._own[number] = self._groups.popleft()
            source = self._own[number] or max(self._own, key=len)
            if not source:
                return
            yield source.popleft()

    def _collect(self, reference: Reference) -> list[TrialOutput]:
        number, spec = self._flying.pop(reference)
        try:
            return [ray.get(reference)]
        except RayActorError as error:
            return self._lost(number, spec, str(error).splitlines()[0])
        except RayTaskError as error:
            raise error.cause from None

    def _lost(self, number: int, spec: TrialSpec, why: str) -> list[TrialOutput]:
        """The actor died: replace it once, and owe the trial again unless it was lost too often."""
        if not any(owner == number for owner, _ in self._flying.values()):
            self._actors[number] = self._start()
        self._losses[spec.trial_id] += 1
        if self._losses[spec.trial_id] < self._config.max_attempts:
            self._own[number].append(spec)
            return []
        record = TrialRecord(
            spec=spec,
            status="excluded",
            reason="infra_worker_lost",
            detail=why[:300],
            attempts=self._losses[spec.trial_id],
        )
        return [TrialOutput(record, b"")]
