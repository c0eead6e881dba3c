"""A toolbox over the broken shop, and a shorthand to call a tool and read its result."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from broken_shop import NS, FakeCluster, FakeTelemetry

from harness.tools.toolbox import Toolbox

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def telemetry() -> FakeTelemetry:
    return FakeTelemetry()


@pytest.fixture
def toolbox(cluster: FakeCluster, telemetry: FakeTelemetry) -> Toolbox:
    return Toolbox(cluster, telemetry, [NS])


@pytest.fixture
def call(toolbox: Toolbox) -> Call:
    def run(tool: str, **arguments: Any) -> dict[str, Any]:
        outcome = toolbox.call(tool, arguments)
        assert outcome.ok, outcome.text
        result: dict[str, Any] = json.loads(outcome.text)
        return result

    return run


@pytest.fixture
def refused(toolbox: Toolbox) -> Callable[..., str]:
    def run(tool: str, **arguments: Any) -> str:
        outcome = toolbox.call(tool, arguments)
        assert not outcome.ok, outcome.text
        assert outcome.text.startswith("Error: ")
        return outcome.text

    return run
