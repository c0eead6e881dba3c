"""A report of ten thousand trials: how long it takes to open, and whether one still finds a trace in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.report import write_reports
from tests.browser.chromium import DESKTOP, Browser
from tests.report.factory import experiment, packed

pytestmark = pytest.mark.browser
SECONDS = 3.0
"""On the clock where the machine has a processor to spare, else of processor time in the page's main thread."""
TRIES = 3


def test_ten_thousand_trials_open_in_three_seconds(browser: Browser, tmp_path: Path) -> None:
    frozen, records = experiment(scenarios=67, repeats=13)
    assert len(records) > 10_000
    write_reports(tmp_path, frozen, records, packed)
    browser.size(*DESKTOP)
    wall, busy = zip(
        *(opening(browser, (tmp_path / "report.html").as_uri()) for _ in range(TRIES)), strict=True
    )
    print(f"opens in {min(wall):.2f} s, {min(busy):.2f} s of processor time")
    crowded = os.getloadavg()[0] > (os.cpu_count() or 1)
    assert min(busy if crowded else wall) < SECONDS
    assert browser.run("return document.querySelectorAll('#list tbody tr').length") == 100
    browser.run("location.hash = 'trial-9999'")
    assert browser.wait('#shown[data-trial="9999"] .timeline').text
    assert browser.errors() == []


def opening(browser: Browser, address: str) -> tuple[float, float]:
    """Seconds until the load event has ended: on the clock, and of the main thread's processor time."""
    browser.driver.execute_cdp_cmd("Performance.disable", {})
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    before = tasks(browser)
    browser.open(address)
    wall = browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000
    return wall, tasks(browser) - before


def tasks(browser: Browser) -> float:
    """Seconds that the page's main thread has worked."""
    metrics = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))
