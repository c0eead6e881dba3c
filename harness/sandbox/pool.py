"""Containers that stand ready, and the sandbox that a trial holds.

A trial gets a container that nobody used before and that is removed afterwards: what one trial wrote no other can
read. Since starting one takes longer than a call, a few are kept started. Owns: that, one folder of evidence per
container, replacement of a container that a command destroyed. Does not own: what tools show.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from harness.sandbox.config import SandboxConfig
from harness.sandbox.containers import Container, Ran
from harness.sandbox.engine import Image, answered, find_image

T = TypeVar("T")
THREADS = 32


class Place:
    """A container and the folder that it sees as its evidence."""

    def __init__(self, image: Image, config: SandboxConfig) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="sandbox-"))
        self.evidence = self.home / "evidence"
        self.evidence.mkdir(mode=0o755)
        self._image, self._config = image, config
        try:
            self.container = self._started()
        except BaseException:
            shutil.rmtree(self.home)
            raise

    def _started(self) -> Container:
        with answered():
            return Container(self._image.id, self._config.limits, self.evidence)

    def run(self, argv: Sequence[str]) -> Ran:
        """Run a command; a container that is lost over it is replaced. Raises InfrastructureError."""
        with answered():
            ran = self.container.run(argv, self._config.call_seconds, self._config.output_bytes)
            if ran.lost:
                self.container.close()
                self.container = self._started()
        return ran

    def close(self) -> None:
        """Kill everything and leave nothing."""
        try:
            with answered():
                self.container.close()
        finally:
            shutil.rmtree(self.home)


class Sandbox:
    """The container of one trial."""

    def __init__(self, pool: SandboxPool, place: Place) -> None:
        self.config = pool.config
        self.image = pool.image
        self.evidence = place.evidence
        """Folder that the container sees, read-only, as /evidence."""
        self._pool, self._place = pool, place

    @property
    def container(self) -> str:
        """Id of the container that it is now."""
        return self._place.container.id

    async def run(self, argv: Sequence[str]) -> Ran:
        """Run a command within the limits. Raises InfrastructureError when the engine fails."""
        return await self._pool.blocking(partial(self._place.run, argv))

    async def close(self) -> None:
        """Kill everything and leave nothing."""
        await self._pool.blocking(self._place.close)


class SandboxPool:
    """Sandboxes of one worker process. Raises ConfigurationError at the start without an engine or the image."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.image = find_image(config.image, "sandbox.image")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sandbox")
        self._ready: list[asyncio.Future[Place]] = []

    async def take(self) -> Sandbox:
        """A sandbox for one trial; another one is started in its place. Raises InfrastructureError."""
        waiting = self._ready.pop(0) if self._ready else self._start()
        while len(self._ready) < self.config.ready:
            self._ready.append(self._start())
        return Sandbox(self, await waiting)

    async def settled(self) -> None:
        """Wait until all that shall stand ready does."""
        await asyncio.gather(*self._ready, return_exceptions=True)

    async def blocking(self, work: Callable[[], T]) -> T:
        """Work that waits for the engine, in a thread of the pool's own: others' threads stay free."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def close(self) -> None:
        """Remove what stands ready."""
        await self.settled()
        places = [each.result() for each in self._ready if each.exception() is None]
        self._ready.clear()
        for place in places:
            await self.blocking(place.close)
        self._threads.shutdown()

    def _start(self) -> asyncio.Future[Place]:
        return asyncio.ensure_future(self.blocking(lambda: Place(self.image, self.config)))
