"""What a tool turn costs: this harness, a bare asyncio loop, inspect_ai and mini-swe-agent on one workload.

    python benchmarks/peers.py                        # 200 trials of 20 turns for each system, three rounds
    python benchmarks/peers.py --trials 50 --rounds 1 --systems bare harness

The workload: a model that answers at once, one tool call per turn, 1 KB results, 50 trials in flight where a system
has that notion. Each system runs in a process of its own; rounds are interleaved, and CPU time decides, so that other
work on the machine hits all alike. Imports and the first trial are not counted. Figures for systems that are not
installed are left out: `uv pip install inspect-ai mini-swe-agent`, or PYTHONPATH for a directory that holds them.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

TURNS, IN_FLIGHT = 20, 50
RESULT = "x" * 1024


class System(NamedTuple):
    """One way to run the workload."""

    says: str
    module: str
    """What must be importable."""
    run: Callable[[int, Path], None]
    """Runs so many trials, writing into a directory."""


def main() -> int:
    """Compare, or (as a child) measure one system."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--measure", choices=SYSTEMS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        sys.stdout.write(json.dumps(measured(SYSTEMS[arguments.measure], arguments.trials)))
        return 0
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for name in arguments.systems:
            if importlib.util.find_spec(SYSTEMS[name].module) is not None:
                found.setdefault(name, []).append(in_child(name, arguments.trials))
    show(found, arguments)
    return 0


def in_child(name: str, trials: int) -> dict[str, float]:
    """One system measured in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, "--trials", str(trials)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measured(system: System, trials: int) -> dict[str, float]:
    """CPU and wall seconds of some trials, after one that warms up."""
    with tempfile.TemporaryDirectory() as directory:
        system.run(1, Path(directory) / "first")
        cpu, wall = time.process_time(), time.perf_counter()
        system.run(trials, Path(directory) / "rest")
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def show(found: dict[str, list[dict[str, float]]], arguments: argparse.Namespace) -> None:
    """The table: each system by its best round."""
    turns = arguments.trials * TURNS
    ours = min((one["cpu"] for one in found.get("harness", ())), default=None)
    sys.stdout.write(
        f"{arguments.trials} trials of {TURNS} turns, best of {arguments.rounds}, load {os.getloadavg()[0]:.1f}\n"
        f"{'system':34}{'turns per CPU s':>16}{'CPU ms per turn':>17}{'CPU / harness':>15}{'wall s':>9}\n"
    )
    for name, rounds in found.items():
        cpu, wall = min(one["cpu"] for one in rounds), min(one["wall"] for one in rounds)
        ratio = f"{cpu / ours:.2f}" if ours else ""
        figures = f"{turns / cpu:>16.0f}{1000 * cpu / turns:>17.3f}{ratio:>15}{wall:>9.1f}"
        sys.stdout.write(f"{SYSTEMS[name].says:34}{figures}\n")


# --- the systems ------------------------------------------------------------------------------------


async def each(trials: int, work: Callable[[int], Any]) -> None:
    """Run trials, so many in flight at a time."""
    numbers = iter(range(trials))

    async def lane() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))


def run_bare(trials: int, directory: Path) -> None:
    """The limit: messages, one JSON line per event handed to the operating system, nothing else."""
    directory.mkdir()
    file = os.open(directory / "events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def trial(number: int) -> None:
        messages: list[dict[str, Any]] = [{"role": "user", "content": "task"}]
        for turn in range(TURNS):
            await asyncio.sleep(0)
            call = {"id": f"c{turn}", "name": "read_logs", "arguments": {"tail": turn}}
            for event in (
                {"role": "assistant", "call": call},
                {"role": "tool", "id": call["id"], "content": RESULT},
            ):
                messages.append(event)
                os.write(file, json.dumps({"trial": number, **event}).encode() + b"\n")

    asyncio.run(each(trials, trial))
    os.close(file)


def run_harness(trials: int, directory: Path) -> None:
    """Whole trials: budgets, toolbox, trace, journal, score and labels, sealed and made durable in batches of 20."""
    from loop_workload import any_scenario, setting_of, spec_of

    from harness.finished import Finished, seal
    from harness.journal import DIRECTORY, Journal
    from harness.store import RunDirectory
    from harness.trial import run_trial

    (directory / "traces").mkdir(parents=True)
    journal, run, batch = Journal(directory / DIRECTORY), RunDirectory(directory), list[Finished]()
    setting = setting_of(any_scenario(), TURNS, journal=journal)

    def store() -> None:
        run.add(batch)
        journal.release([one.trial_id for one in batch])
        batch.clear()

    async def trial(number: int) -> None:
        batch.append(seal(*await run_trial(spec_of(number), setting)))
        if len(batch) >= 20:
            store()

    asyncio.run(each(trials, trial))
    store()
    journal.close()


def run_inspect(trials: int, directory: Path, **options: Any) -> None:
    """inspect_ai with its mock model and a tool loop; usage is given, or it would download a tokenizer."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.solver import generate, use_tools
    from inspect_ai.tool import Tool, tool

    @tool
    def read_logs() -> Tool:
        async def execute(tail: int) -> str:
            """Read logs.

            Args:
                tail: How many lines.
            """
            return RESULT

        return execute

    def answer(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        done = sum(message.role == "tool" for message in messages)
        output = (
            ModelOutput.for_tool_call("mockllm", "read_logs", {"tail": done})
            if done < TURNS
            else ModelOutput.from_content("mockllm", "done")
        )
        output.usage = ModelUsage(input_tokens=1000, output_tokens=50, total_tokens=1050)
        return output

    task = Task(
        dataset=[Sample(input="task", target="done") for _ in range(trials)],
        solver=[use_tools(read_logs()), generate(tool_calls="loop")],
    )
    model = get_model("mockllm/model", custom_outputs=answer, memoize=False)
    logs = evaluate(
        task, model=model, log_dir=str(directory), display="none", max_samples=IN_FLIGHT, **options
    )
    if logs[0].status != "success":
        raise SystemExit(f"inspect_ai: {logs[0].status}: {logs[0].error}")


def run_mini(trials: int, directory: Path, each_step: bool) -> None:
    """mini-swe-agent's own loop over its deterministic model and an environment in memory, one run after another."""
    from minisweagent.agents.default import DefaultAgent
    from minisweagent.exceptions import Submitted
    from minisweagent.models.test_models import DeterministicModel, make_output

    class Memory:
        def execute(self, action: dict[str, Any], **_: Any) -> dict[str, Any]:
            if action["command"] == "submit":
                raise Submitted({"role": "exit", "content": "done", "extra": {"exit_status": "Submitted"}})
            return {"output": RESULT, "returncode": 0, "exception_info": ""}

        def get_template_vars(self, **_: Any) -> dict[str, Any]:
            return {}

        def serialize(self) -> dict[str, Any]:
            return {}

    commands = [*(f"logs {turn}" for turn in range(TURNS)), "submit"]
    for number in range(trials):
        outputs = [make_output(command, [{"command": command}]) for command in commands]
        path = directory / f"{number}.json"
        agent = DefaultAgent(
            DeterministicModel(outputs=outputs),
            Memory(),
            system_template="system",
            instance_template="{{task}}",
            cost_limit=0,
            output_path=path if each_step else None,
        )
        agent.run("task")
        agent.save(path)


FASTEST = {"log_realtime": False, "log_model_api": False}
SYSTEMS = {
    "bare": System("bare asyncio loop, event per line", "asyncio", run_bare),
    "harness": System("this harness, whole trials", "harness", run_harness),
    "inspect": System("inspect_ai, default log", "inspect_ai", run_inspect),
    "inspect_fast": System(
        "inspect_ai, its fastest log", "inspect_ai", lambda n, d: run_inspect(n, d, **FASTEST)
    ),
    "mini": System("mini-swe-agent, saving each step", "minisweagent", lambda n, d: run_mini(n, d, True)),
    "mini_end": System(
        "mini-swe-agent, saving at the end", "minisweagent", lambda n, d: run_mini(n, d, False)
    ),
}

if __name__ == "__main__":
    raise SystemExit(main())
