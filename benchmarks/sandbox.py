"""What a call in a sandbox costs, as a ratio against a bare `docker exec` of the same command in the same container.

    python benchmarks/sandbox.py [--image IMAGE] [--rounds 40]

Prints medians over interleaved rounds: a call through the tools that agents use; `docker exec` from the command line;
the engine's API alone (create, start, inspect of an exec), which is what both consist of; and what it costs a trial
to get a sandbox that stands ready, and one that has to be started.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable

from harness.sandbox.config import SandboxConfig
from harness.sandbox.engine import connect
from harness.sandbox.pool import Sandbox, SandboxPool
from harness.sandbox.tools import SandboxTools


def bare_exec(container: str, user: str) -> None:
    """What a person would type."""
    subprocess.run(["docker", "exec", "--user", user, container, "true"], check=True)


def api_alone(container: str, user: str) -> None:
    """The three requests of an exec."""
    client = connect()
    made = client.exec_create(container, ["true"], user=user)["Id"]
    client.exec_start(made)
    client.exec_inspect(made)


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def calls(sandbox: Sandbox, rounds: int) -> dict[str, float]:
    """Median seconds per call, the three ways in turn."""
    tools = SandboxTools(sandbox)
    container, user = sandbox.container, sandbox.config.limits.user
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "a call of the tool": lambda: tools.call("shell", {"command": "true"}),
        "docker exec": lambda: asyncio.to_thread(bare_exec, container, user),
        "the engine's API alone": lambda: asyncio.to_thread(api_alone, container, user),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            seconds[name].append(await timed(work))
    return {name: statistics.median(found) for name, found in seconds.items()}


async def starts(config: SandboxConfig, rounds: int) -> float:
    """Median seconds until a trial has its sandbox."""
    pool = SandboxPool(config)
    seconds = []
    try:
        await (await pool.take()).close()
        for _ in range(rounds):
            await pool.settled()
            began = time.perf_counter()
            sandbox = await pool.take()
            seconds.append(time.perf_counter() - began)
            await sandbox.close()
    finally:
        await pool.close()
    return statistics.median(seconds)


async def main(image: str, rounds: int) -> None:
    """Measure and print."""
    config = SandboxConfig(kind="docker", image=image, ready=0)
    pool = SandboxPool(config)
    sandbox = await pool.take()
    try:
        found = await calls(sandbox, rounds)
    finally:
        await sandbox.close()
        await pool.close()
    base = found["docker exec"]
    for name, seconds in found.items():
        print(f"{name:28} {seconds * 1000:8.1f} ms   {seconds / base:5.2f} x docker exec")
    few = max(3, rounds // 8)
    print(
        f"{'a sandbox that is ready':28} {await starts(config.model_copy(update={'ready': 2}), few) * 1000:8.1f} ms"
    )
    print(f"{'a sandbox that is not':28} {await starts(config, few) * 1000:8.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", default="harness-sandbox-test:1", help="made by tests/sandbox/build-image")
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    asyncio.run(main(given.image, given.rounds))
