"""The program of an external agent: started, listened to, and ended with everything that it started.

Owns: the command line, the environment, the process group, what is kept of its output. Does not own: what it
may do (`desk`) or how it speaks (`server`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.agents.external.config import ExternalConfig
from harness.agents.external.desk import Desk
from harness.errors import ConfigurationError, Problem
from harness.sandbox.containers import TEMPORARY, create
from harness.sandbox.engine import Image, answered, remove

BASIC_ENV = ("PATH", "HOME", "LANG", "TZ")
CLIENT_ENV = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG")
"""What the docker client needs to find the engine; a container sees nothing of it."""
KEPT = 16_384
"""Bytes kept of the end of each output stream."""
CHUNK = 65_536
POLITE_S = 2.0
"""Real seconds between the request to end and the kill."""
INSIDE = "/harness"
"""Where a container finds the working directory."""


class Program:
    """One run of the program."""

    def __init__(self, process: asyncio.subprocess.Process, container: str | None) -> None:
        self.process = process
        self.kept: dict[str, bytes] = {"stdout": b"", "stderr": b""}
        self.seen: dict[str, int] = {"stdout": 0, "stderr": 0}
        self._container = container
        self._listening: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls, config: ExternalConfig, image: Image | None, folder: Path, variables: Mapping[str, str]
    ) -> Program:
        """Start it in `folder`. Raises ConfigurationError when that is impossible, InfrastructureError when the
        engine fails."""
        container: str | None = None
        if image is None:
            argv, env = command(config), environment(config, BASIC_ENV, variables)
        else:
            container = await asyncio.to_thread(contained, config, image, folder, variables)
            argv = ["docker", "start", "--attach", "--interactive", container]
            env = {name: os.environ[name] for name in (*BASIC_ENV, *CLIENT_ENV) if name in os.environ}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=pipe if config.speaks == "stdio" else asyncio.subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                cwd=folder,
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            found = Problem("argv", f"cannot start {argv[0]!r}: {error.strerror or error}")
            raise ConfigurationError(found._replace(hint="is it installed, and executable?")) from error
        return cls(process, container)

    def listen(self, desk: Desk, *streams: str) -> None:
        """Keep the end of these output streams and count them."""
        for name in streams:
            reader = getattr(self.process, name)
            self._listening.append(asyncio.create_task(self._pump(name, reader, desk)))

    async def stop(self, grace: float) -> int:
        """Wait so long for it to end by itself, then end it and all that it started. Its exit code."""
        if grace > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), grace)
        if self._container is not None:
            await asyncio.to_thread(killed, self._container)
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), POLITE_S)
        await self._drain()
        return await self.process.wait()

    def last_words(self) -> str:
        """The end of what it wrote to stderr, or else to stdout."""
        text = (self.kept["stderr"] or self.kept["stdout"]).decode(errors="replace").strip()
        return text[-300:]

    async def _pump(self, name: str, reader: asyncio.StreamReader, desk: Desk) -> None:
        while chunk := await reader.read(CHUNK):
            self.seen[name] += len(chunk)
            self.kept[name] = (self.kept[name] + chunk)[-KEPT:]
            desk.count(len(chunk))

    async def _drain(self) -> None:
        """What is still in the pipes; a descendant that left the process group may keep them open."""
        if self._listening:
            await asyncio.wait(self._listening, timeout=POLITE_S)
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        transport: Any = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()


def command(config: ExternalConfig) -> list[str]:
    """The command line of a program on this machine."""
    first, *others = config.argv
    program = sys.executable if first == "python" else absolute(first)
    return [program, *(absolute(argument) for argument in others)]


def absolute(argument: str) -> str:
    """An argument that names a file is found from wherever the program runs."""
    return str(Path(argument).resolve()) if os.sep in argument and Path(argument).is_file() else argument


def environment(config: ExternalConfig, names: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """All that the program gets to know of the environment of this process: these names, and what it is passed."""
    known = [name for name in (*names, *config.pass_env) if name in os.environ]
    return {**{name: os.environ[name] for name in known}, **config.env, **variables}


def contained(config: ExternalConfig, image: Image, folder: Path, variables: Mapping[str, str]) -> str:
    """A container for the program, not started; its id. Values of variables are on no command line: other users of
    the machine could read it."""
    with answered():
        return create(
            image.id,
            config.argv or None,
            config.limits,
            scratch=(TEMPORARY,),
            network=config.network,
            binds=[f"{folder}:{INSIDE}:ro"],
            user=config.limits.user,
            environment=environment(config, (), {"HOME": TEMPORARY, **variables}),
        )


def killed(container: str) -> None:
    """End a container, which is in no process group of ours."""
    with answered():
        remove(container)
