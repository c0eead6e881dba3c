"""Who gets which trial, and who is blamed: simulated workers that die of certain trials."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from harness.executors.supply import Job, Supply
from harness.records import TrialSpec


def specs(count: int) -> list[TrialSpec]:
    return [
        TrialSpec(
            trial_id=f"t{number}",
            scenario=f"s{number // 4}",
            model="m",
            agent="a",
            arm=str(number % 4),
            repeat=0,
            seed=number // 4,
        )
        for number in range(count)
    ]


def drain(count: int, deadly: set[str], workers: int, lanes: int, limit: int, seed: int) -> dict[str, Job]:
    """Play it through: in each step a random busy worker finishes a trial, or dies of one. The given up."""
    supply = Supply(specs(count), limit)
    flying: list[dict[str, Job]] = [{} for _ in range(workers)]
    finished: set[str] = set()
    given_up: dict[str, Job] = {}
    dice = random.Random(seed)
    for _ in range(100 * (count + 1)):
        for number, jobs in enumerate(flying):
            taken = supply.take(number, lanes - len(jobs), bool(jobs))
            jobs |= {job.spec.trial_id: job for job in taken}
            assert len(jobs) <= max(lanes, 1)
        busy = [number for number, jobs in enumerate(flying) if jobs]
        if not busy:
            break
        worker = dice.choice(busy)
        one = dice.choice(sorted(flying[worker]))
        if one not in deadly:
            assert one not in finished
            finished.add(one)
            del flying[worker][one]
            continue
        lost, flying[worker] = list(flying[worker].values()), {}
        given_up |= {job.spec.trial_id: job for job in supply.lost(worker, lost)}
    assert supply.empty
    assert finished | given_up.keys() == {spec.trial_id for spec in specs(count)}
    assert not finished & given_up.keys()
    return given_up


@given(
    count=st.integers(0, 40),
    deadly=st.sets(st.integers(0, 39), max_size=4),
    workers=st.integers(1, 4),
    lanes=st.integers(1, 8),
    limit=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_exactly_the_deadly_trials_are_given_up(
    count: int, deadly: set[int], workers: int, lanes: int, limit: int, seed: int
) -> None:
    killers = {f"t{number}" for number in deadly if number < count}
    given_up = drain(count, killers, workers, lanes, limit, seed)
    assert given_up.keys() == killers
    assert all(job.alone == limit for job in given_up.values())


def test_trials_that_share_a_start_go_to_one_worker() -> None:
    supply = Supply(specs(16), limit=2)
    for worker in range(4):
        assert {job.spec.scenario for job in supply.take(worker, 4, busy=False)} == {f"s{worker}"}


def test_a_worker_without_a_group_helps_the_others() -> None:
    supply = Supply(specs(4), limit=2)
    assert [job.spec.trial_id for job in supply.take(0, 1, busy=False)] == ["t0"]
    assert [job.spec.trial_id for job in supply.take(1, 2, busy=False)] == ["t1", "t2"]
