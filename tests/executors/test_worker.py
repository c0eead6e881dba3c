"""The Ray worker without Ray: every trial comes back once, whenever the driver asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from harness.config import parse_config
from harness.executors.postponed import LeftOwed
from harness.executors.supply import Job
from harness.executors.worker import Worker
from harness.experiment import build_plan
from harness.finished import Finished
from harness.store import RunDirectory
from tests.survival.runs import raw_config

NEWS = msgspec.msgpack.Decoder(tuple[list[Finished], list[LeftOwed]])


def test_trials_that_end_while_others_are_under_way_all_come_back(tmp_path: Path) -> None:
    config = parse_config(raw_config(tmp_path))
    plan = build_plan(config)
    jobs = [Job(spec, lost=number % 2) for number, spec in enumerate(plan.trials)]

    async def drain() -> list[Finished]:
        worker = Worker(config, lanes=2, credentials={}, broker=None)
        await worker.hello()
        finished: list[Finished] = []
        waiting = list(jobs)
        while len(finished) < len(jobs):
            batch, waiting = waiting[:2], waiting[2:]
            finished += NEWS.decode(await asyncio.wait_for(worker.exchange(batch), 60))[0]
        await worker.close()
        return finished

    found = asyncio.run(drain())
    assert sorted(one.trial_id for one in found) == sorted(spec.trial_id for spec in plan.trials)
    run = RunDirectory(tmp_path)
    run.open_for_writing(plan)
    run.add(found)
    lost = {job.spec.trial_id: job.lost for job in jobs}
    for record in run.records():
        assert record.attempts == 1 + lost[record.spec.trial_id]
        assert [one.reason for one in record.earlier] == ["infra_worker_lost"] * lost[record.spec.trial_id]
        assert record.earlier_traces == (None,) * lost[record.spec.trial_id]
        assert run.trace(record)
    run.close()
