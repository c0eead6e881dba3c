"""What the harness adds to the work of its models and tools: memory, waiting, bookkeeping, start.

    python benchmarks/overhead.py                     # everything but Ray; about two minutes
    python benchmarks/overhead.py memory latency      # a selection
    python benchmarks/overhead.py start --ray         # also the first trial with executor=ray

    memory    resident memory per trial in flight, 20 turns of 1 KB into it            bar: 0.3 MB
    growth    CPU per turn as trials get longer and more of them are in flight         it should stay flat
    latency   1,000 trials of 20 turns, 0.5 s per model call, 200 in flight: wall/ideal   bar: 1.15
    driver    finished trials per second that one driver makes durable                 bar: 1,000
    start     seconds to `--help`, and from the command to the first durable trial     bars: 0.5; 2 (local), 8 (Ray)

Prints one line per figure with its bar and the machine's load at that time. What a turn costs: `peers.py` (the loop)
and `default_experiment.py` (everything).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from loop_workload import ScriptedModel, any_scenario, setting_of, spec_of

from harness.finished import seal
from harness.journal import DIRECTORY, Journal
from harness.protocols import ModelReply, ModelRequest
from harness.store import RunDirectory
from harness.trial import Setting, run_trial

TURNS = 20


def report(what: str, figure: float, unit: str, bar: float, at_most: bool = True) -> None:
    """One line."""
    met = figure <= bar if at_most else figure >= bar
    sign = "<=" if at_most else ">="
    says = "met" if met else "NOT met"
    sys.stdout.write(
        f"{what:58}{figure:10.3g} {unit:9} bar {sign} {bar:g}: {says} (load {os.getloadavg()[0]:.1f})\n"
    )
    sys.stdout.flush()


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class HeldModel(ScriptedModel):
    """Holds every trial at its last turn until it is told to go on."""

    def __init__(self, turns: int) -> None:
        super().__init__(turns)
        self.go_on = asyncio.Event()
        self.held = 0

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The next step; the last one has to wait."""
        if len(request.messages) // 2 - 1 >= self._turns:
            self.held += 1
            await self.go_on.wait()
        return await super().complete(request)


def memory(trials: int = 1000) -> None:
    """Trials that have 20 turns behind them and wait for the model, with the journal open."""

    async def measure(directory: Path) -> float:
        setting = setting_of(any_scenario(), TURNS, journal=Journal(directory / DIRECTORY))
        await run_trial(spec_of(0), setting)
        gc.collect()
        before, model = resident_mb(), HeldModel(TURNS)
        flying = [
            asyncio.create_task(run_trial(spec_of(n), replace(setting, model=model))) for n in range(trials)
        ]
        while model.held < trials:
            await asyncio.sleep(0.01)
        gc.collect()
        grown = resident_mb() - before
        model.go_on.set()
        await asyncio.gather(*flying)
        return grown / trials

    with tempfile.TemporaryDirectory() as directory:
        report("resident memory per trial in flight", asyncio.run(measure(Path(directory))), "MB", 0.3)


def latency(trials: int = 1000, in_flight: int = 200, seconds: float = 0.5) -> None:
    """Wall time over what the models alone would take."""

    async def measure(directory: Path) -> float:
        setting = setting_of(any_scenario(), TURNS, seconds, Journal(directory / DIRECTORY))
        numbers, began = iter(range(trials)), time.perf_counter()

        async def lane() -> None:
            for number in numbers:
                await run_trial(spec_of(number), setting)

        await asyncio.gather(*(lane() for _ in range(in_flight)))
        return time.perf_counter() - began

    ideal = math.ceil(trials / in_flight) * (TURNS + 1) * seconds
    with tempfile.TemporaryDirectory() as directory:
        wall, cpu = asyncio.run(measure(Path(directory))), time.process_time()
    what = f"{trials} trials x {TURNS} turns x {seconds} s, {in_flight} in flight: wall / ideal"
    report(what, wall / ideal, "", 1.15)
    sys.stdout.write(f"    {wall:.1f} s against {ideal:.1f} s; {cpu:.1f} s CPU of this process so far\n")


def growth() -> None:
    """CPU milliseconds per turn of the loop, journal included, for other lengths and numbers in flight."""

    async def measure(trials: int, turns: int, in_flight: int, directory: Path) -> float:
        journal = Journal(directory / DIRECTORY)
        setting, numbers = setting_of(any_scenario(), turns, journal=journal), iter(range(trials))

        async def lane() -> None:
            for number in numbers:
                await run_trial(spec_of(number), setting)
                journal.release([spec_of(number).trial_id])

        await lane_of_one(setting)
        began = time.process_time()
        await asyncio.gather(*(lane() for _ in range(in_flight)))
        return 1000 * (time.process_time() - began) / trials / turns

    async def lane_of_one(setting: Setting) -> None:
        await run_trial(spec_of(-1), replace(setting, journal=None))

    for trials, turns, in_flight in ((200, 5, 50), (50, 20, 50), (17, 60, 17), (50, 20, 1), (500, 20, 500)):
        with tempfile.TemporaryDirectory() as directory:
            cost = asyncio.run(measure(trials, turns, in_flight, Path(directory)))
        sys.stdout.write(f"{turns:4} turns per trial, {in_flight:4} in flight: {cost:.3f} ms CPU per turn\n")


def driver(trials: int = 20_000, batch: int = 50) -> None:
    """Sealed trials made durable in batches, as they come from workers; then reading back what is finished."""
    with tempfile.TemporaryDirectory(dir=".") as directory:
        run = RunDirectory(Path(directory))
        (run.path / "traces").mkdir()
        output = asyncio.run(run_trial(spec_of(0), setting_of(any_scenario(), TURNS)))
        sealed = [
            seal(output.record.model_copy(update={"spec": spec_of(number)}), output.trace)
            for number in range(batch)
        ]
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(trials // batch):
            run.add(sealed)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        report(
            "finished trials per second made durable (wall, fsync)",
            trials / wall,
            "trials/s",
            1000,
            at_most=False,
        )
        report("finished trials per CPU second of the driver", trials / cpu, "trials/s", 1000, at_most=False)
        began = time.process_time()
        run.finished()
        report(f"CPU to learn on resuming what of {trials} is finished", time.process_time() - began, "s", 30)


def start(ray: bool = False) -> None:
    """From the command to its first effect."""
    report("python -m harness --help (wall, best of 5)", min(timed(["--help"]) for _ in range(5)), "s", 0.5)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    report(
        "first durable trial, executor=local (best of 3)", min(first_trial("local") for _ in range(3)), "s", 2
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report("CPU until then (mean of 3)", cpu / 3, "s", 2)
    if ray:
        report("first durable trial, executor=ray", first_trial("ray"), "s", 8)


def timed(arguments: Sequence[str]) -> float:
    """Wall seconds of a command."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "harness", *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def first_trial(executor: str) -> float:
    """Seconds until the first record is on the disk; the command is then killed."""
    with tempfile.TemporaryDirectory() as directory:
        options = ["+experiment=smoke", f"executor={executor}", f"run_dir={directory}/run"]
        began, records = time.perf_counter(), Path(directory, "run", "records.jsonl")
        command = [sys.executable, "-m", "harness", *options]
        with subprocess.Popen(
            command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
        ) as child:
            while not (records.exists() and records.stat().st_size):
                if child.poll() is not None:
                    raise SystemExit(
                        f"{' '.join(command)} ended with {child.returncode} before a trial was stored"
                    )
                time.sleep(0.005)
            taken = time.perf_counter() - began
            os.killpg(child.pid, signal.SIGINT if executor == "ray" else signal.SIGKILL)
        return taken


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", help=f"some of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--ray", action="store_true", help="measure the start with executor=ray too")
    arguments = parser.parse_args()
    for name in arguments.figures or FIGURES:
        if name not in FIGURES:
            parser.error(f"unknown figure {name}; expected some of {', '.join(FIGURES)}")
        if name == "start":
            start(arguments.ray)
        else:
            FIGURES[name]()


FIGURES: dict[str, Callable[[], None]] = {
    "memory": memory,
    "growth": growth,
    "driver": driver,
    "start": start,
    "latency": latency,
}

if __name__ == "__main__":
    main()
