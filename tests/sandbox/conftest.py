"""What docker tests need: an engine, and an image that no registry has to be reached for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest

from harness.errors import ConfigurationError
from harness.sandbox.config import Limits, SandboxConfig
from harness.sandbox.engine import connect, find_image
from harness.sandbox.pool import Sandbox, SandboxPool

T = TypeVar("T")
IMAGE = os.environ.get("HARNESS_TEST_IMAGE", "harness-sandbox-test:1")
SMALL = Limits(memory_mb=96, pids=40, scratch_mb=16)


def config(**fields: object) -> SandboxConfig:
    """A small sandbox of the tests' image."""
    given: dict[str, object] = {
        "kind": "docker",
        "image": IMAGE,
        "limits": SMALL,
        "ready": 0,
        "call_seconds": 20,
    }
    return SandboxConfig.model_validate(given | fields)


def inside(work: Callable[[Sandbox], Awaitable[T]], **fields: object) -> T:
    """Do something with a sandbox of its own."""

    async def main() -> T:
        pool = SandboxPool(config(**fields))
        try:
            sandbox = await pool.take()
            try:
                return await work(sandbox)
            finally:
                await sandbox.close()
        finally:
            await pool.close()

    return asyncio.run(main())


@pytest.fixture(scope="session")
def docker_image() -> Iterator[str]:
    """The image, on an engine that answers; without, the test is skipped."""
    try:
        connect()
        find_image(IMAGE, "HARNESS_TEST_IMAGE")
    except ConfigurationError as error:
        pytest.skip(f"{error}; the image is made by tests/sandbox/build-image {IMAGE}")
    yield IMAGE
    connect().close()
