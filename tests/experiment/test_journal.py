"""The journal: events survive the process that wrote them, and attempts that were cut off stay readable."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.errors import ConfigurationError, RunStopped
from harness.executors.supply import Job
from harness.executors.worker import Worker
from harness.experiment import build_plan, run_owed
from harness.finished import Finished
from harness.journal import DIRECTORY, Journal, left_behind, read
from harness.store import RunDirectory
from harness.trace import AssistantMessage, Event, ModelCall, TraceWriter, decode, of_type
from tests.experiment.composed import composed

KILLED_AT = """
import asyncio, os, signal, sys
from pathlib import Path
from typing import Any
from harness.executors.supply import Job
from harness.executors.worker import Worker
from harness.experiment import build_plan, run_owed
from harness.journal import Journal
from harness.trace import AssistantMessage, TraceWriter

journal, events, lanes = Journal(Path(sys.argv[1]), file_bytes=2_000), int(sys.argv[2]), 7
written = 0

async def trial(number):
    global written
    writer = TraceWriter(journal.attempt(f"t{number}", 1))
    while True:
        writer.add(AssistantMessage(text=f"{number} says {len(writer.events)} " + "x" * 50), at=written)
        written += 1
        if written == events:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0)

async def main():
    await asyncio.gather(*(trial(number) for number in range(lanes)))

asyncio.run(main())
"""

EXPERIMENT = """
import os, signal, sys
from harness import trace
from harness.cli import run

left, add = int(sys.argv[1]), trace.TraceWriter.add

def counted(self, event, at=0.0):
    global left
    added = add(self, event, at)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return added

trace.TraceWriter.add = counted
sys.exit(run(sys.argv[2:]))
"""


def child(program: str, *arguments: object) -> int:
    """Run a program to its end; the return code."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, check=False, timeout=120, capture_output=True).returncode


@pytest.mark.parametrize("events", [1, 8, 500])
def test_every_event_written_before_a_kill_is_read_back(tmp_path: Path, events: int) -> None:
    assert child(KILLED_AT, tmp_path / DIRECTORY, events) == -signal.SIGKILL
    attempts = [one for path in left_behind(tmp_path / DIRECTORY) for one in read(path)]
    found = {one.trial_id: list(of_type(decode(one.trace), AssistantMessage)) for one in attempts}
    assert sum(len(texts) for texts in found.values()) == events
    assert sorted(event.t for texts in found.values() for event in texts) == list(range(events))
    for trial_id, texts in found.items():
        assert [text.i for text in texts] == list(range(len(texts)))
        assert all(text.text.startswith(f"{trial_id[1:]} says {text.i} ") for text in texts)


def test_a_killed_experiment_keeps_what_was_under_way_and_resumes(tmp_path: Path) -> None:
    command = ["+experiment=smoke", "executor=local", f"run_dir={tmp_path}", "executor.in_flight=2"]
    assert child(EXPERIMENT, 150, *command) == -signal.SIGKILL
    config, run = composed(*command), RunDirectory(tmp_path)
    plan = build_plan(config)
    run.open_for_writing(plan)
    run_owed(config, plan, run)
    run.close()
    interrupted = run.interrupted()
    assert {one.trial_id for one in interrupted} <= {record.spec.trial_id for record in run.records()}
    assert 1 <= len(interrupted) <= 2
    for one in interrupted:
        events = run.interrupted_trace(one)
        assert len(events) == one.events > 0
        assert one.usage.calls == sum(1 for _ in of_type(events, ModelCall))
    assert len(run.records()) == len(plan.trials)
    assert not list((tmp_path / DIRECTORY).iterdir())


def events_of(path: Path) -> list[list[Event]]:
    return [decode(one.trace) for one in read(path)]


def test_interleaved_attempts_are_told_apart(tmp_path: Path) -> None:
    journal, toss = Journal(tmp_path / DIRECTORY), random.Random(5)
    writers = [TraceWriter(journal.attempt(f"t{n // 2}", n % 2 + 1)) for n in range(6)]
    for n in range(200):
        toss.choice(writers).add(AssistantMessage(text=f'{n} "quoted"\n{{"n":1}}'), at=n)
    (path,) = (tmp_path / DIRECTORY).iterdir()
    assert events_of(path) == [writer.events for writer in writers]
    assert [(one.trial_id, one.attempt) for one in read(path)] == [
        (f"t{n // 2}", n % 2 + 1) for n in range(6)
    ]


def test_files_go_once_their_trials_are_stored_and_number_stays_bounded(tmp_path: Path) -> None:
    journal, most = Journal(tmp_path / DIRECTORY, file_bytes=5_000), 0
    for n in range(300):
        writer = TraceWriter(journal.attempt(f"t{n}", 1))
        for _ in range(10):
            writer.add(AssistantMessage(text="y" * 200))
        most = max(most, len(list((tmp_path / DIRECTORY).iterdir())))
        journal.release([f"t{n}"])
    assert most <= 2
    journal.close()
    assert not list((tmp_path / DIRECTORY).iterdir())


def news(answer: bytes) -> list[Finished]:
    """The finished trials in a worker's answer; nothing is left owed here."""
    finished, left = msgspec.msgpack.decode(answer, type=tuple[list[Finished], list[Any]])
    assert not left
    return finished


def test_a_worker_keeps_its_journal_until_the_driver_calls_again(tmp_path: Path) -> None:
    config = composed("+experiment=smoke", f"run_dir={tmp_path}", "scenario=[16]")
    jobs = [Job(spec) for spec in build_plan(config).trials]

    async def work() -> None:
        worker = Worker(config, len(jobs), {}, None)
        await worker.hello()
        delivered = news(await worker.exchange(jobs))
        (path,) = (tmp_path / DIRECTORY).iterdir()
        assert {one.trial_id for one in read(path)} >= {one.trial_id for one in delivered}
        while len(delivered) < len(jobs):
            delivered += news(await worker.exchange([]))
        assert path.exists()
        await worker.close()
        assert not path.exists()

    asyncio.run(work())


def test_nobody_takes_a_file_from_a_process_that_lives(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.attempt("t", 1)
    assert not list(left_behind(tmp_path))
    journal.close()
    assert len(list(left_behind(tmp_path))) == 1


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_left_out(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path)
    writer = TraceWriter(journal.attempt("t", 1))
    writer.add(AssistantMessage(text="whole"))
    writer.add(AssistantMessage(text="torn"))
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - cut)
    assert events_of(path) == [writer.events[:1]]


def test_a_bad_line_within_is_named(tmp_path: Path) -> None:
    path = tmp_path / "1.jsonl"
    path.write_bytes(
        msgspec.json.encode({"n": 1, "trial_id": "t", "attempt": 1}) + b'\n{"n":7,"event":{}}\n{}\n'
    )
    with pytest.raises(ConfigurationError, match=r"1\.jsonl:2"):
        read(path)


def test_a_disk_that_refuses_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunStopped, match="cannot be written"):
        Journal(tmp_path / "missing" / DIRECTORY).attempt("t", 1)
