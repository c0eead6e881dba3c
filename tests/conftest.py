"""What holds for all tests: those with a marker that HARNESS_REQUIRE names (`docker,browser`) may not be skipped."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

REQUIRED = {name for name in os.environ.get("HARNESS_REQUIRE", "").split(",") if name}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a required test into a failure."""
    report = yield
    if report.skipped and REQUIRED & {marker.name for marker in item.iter_markers()}:
        report.outcome = "failed"
        report.longrepr = f"skipped, but HARNESS_REQUIRE says that it can run: {report.longrepr}"
    return report
