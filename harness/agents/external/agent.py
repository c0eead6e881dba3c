"""One trial of an external agent: serve its tools, start it, wait for one of the ends, stop it.

Ends, in the order in which they are looked at: the incident is closed (submitted, a budget, a guard, too much
output); the program ended; time ran out. Owns: that order and what each end means. Does not own: the parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from pathlib import Path

from harness.agents.external.config import ExternalConfig
from harness.agents.external.desk import Desk
from harness.agents.external.process import INSIDE, Program
from harness.agents.external.server import serve_http, serve_streams
from harness.errors import AgentError
from harness.protocols import DOCKER_SLOT
from harness.sandbox.engine import Image, find_image
from harness.sandbox.staging import write
from harness.session import Session
from harness.trace import ProgramOutput

TASK_FILE = "task.json"


class ExternalAgent:
    """Somebody else's program."""

    Config = ExternalConfig
    own_model = True

    def __init__(self, config: ExternalConfig) -> None:
        self._config = config

    @property
    def digest(self) -> str:
        """Hash of the image, or of the files that the command line names: a program that changed is another agent.
        Raises ConfigurationError without an engine or the image."""
        if self._image is not None:
            return self._image.id
        files = [Path(argument) for argument in self._config.argv if os.sep in argument]
        content = b"".join(path.read_bytes() for path in files if path.is_file())
        return hashlib.sha256(content).hexdigest()[:16]

    def claims(self) -> Mapping[str, float]:
        """A container of its own, where it runs from an image."""
        return {DOCKER_SLOT: 1} if self._config.image else {}

    @cached_property
    def _image(self) -> Image | None:
        return find_image(self._config.image, "image") if self._config.image else None

    async def run(self, session: Session) -> None:
        """Let the program work. Raises the TrialError that ended it, ConfigurationError if it cannot start."""
        session.open()
        desk = Desk(session, self._config.time_factor, self._config.output_bytes)
        if self._image is not None:
            session.images["agent"] = self._image.digest
        with tempfile.TemporaryDirectory(prefix="agent-") as private:
            folder = Path(
                private, "work"
            )  # a container's user may look into it, other users of this machine not
            folder.mkdir(mode=0o755)
            code, words = await self._work(desk, folder, session)
        if desk.crash is not None:
            raise desk.crash
        if desk.failure is not None:
            raise desk.failure
        garbled = f"; {desk.garbled} of its requests were not MCP" if desk.garbled else ""
        if not session.done and code != 0:
            raise AgentError("agent_error", f"the program ended with exit code {code}{garbled}: {words}")
        if not session.done:
            raise AgentError(
                session.rejected or "no_output", f"the program ended without a submission{garbled}"
            )

    async def _work(self, desk: Desk, folder: Path, session: Session) -> tuple[int, str]:
        """From start to stop: exit code and last words."""
        write(folder / TASK_FILE, [json.dumps(desk.task(), ensure_ascii=False)])
        async with self._started(desk, folder) as program:
            try:
                ended = await self._wait(desk, program)
            finally:
                grace = self._config.grace_seconds if session.done else 0.0
                code = await program.stop(grace)
        for stream, text in program.kept.items():
            if text:
                shown = text.decode(errors="replace")
                session.record(ProgramOutput(stream=stream, text=shown, total_bytes=program.seen[stream]))
        await desk.close()
        return (code if ended else 0), program.last_words()

    @contextlib.asynccontextmanager
    async def _started(self, desk: Desk, folder: Path) -> AsyncIterator[Program]:
        """The running program with its tools within reach."""
        inside = INSIDE if self._config.image else str(folder)
        variables = {"HARNESS_TASK_FILE": f"{inside}/{TASK_FILE}", "HARNESS_MCP_TRANSPORT": "stdio"}
        if self._config.speaks == "stdio":
            program = await Program.start(self._config, self._image, folder, variables)
            program.listen(desk, "stderr")
            reader, writer = program.process.stdout, program.process.stdin
            assert reader is not None
            assert writer is not None
            serving = asyncio.create_task(serve_streams(desk, reader, writer))
            try:
                yield program
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
            return
        async with serve_http(desk) as endpoint:
            variables |= {"HARNESS_MCP_TRANSPORT": "http"}
            variables |= {"HARNESS_MCP_URL": endpoint.url, "HARNESS_MCP_TOKEN": endpoint.token}
            program = await Program.start(self._config, self._image, folder, variables)
            program.listen(desk, "stdout", "stderr")
            yield program

    async def _wait(self, desk: Desk, program: Program) -> bool:
        """Until one of the ends; whether the program ended by itself."""
        deadline = time.monotonic() + self._config.wall_seconds
        over = asyncio.create_task(desk.over.wait())
        exited = asyncio.create_task(program.process.wait())
        try:
            while True:
                left = min(deadline - time.monotonic(), desk.real_seconds_left())
                await asyncio.wait({over, exited}, timeout=max(left, 0.0), return_when="FIRST_COMPLETED")
                if over.done() or exited.done():
                    return not over.done()
                if min(deadline - time.monotonic(), desk.real_seconds_left()) <= 0:
                    desk.end(AgentError("budget_time", "the program was still running when time was up"))
                    return False
        finally:
            for task in (over, exited):
                task.cancel()
            await asyncio.gather(over, exited, return_exceptions=True)
