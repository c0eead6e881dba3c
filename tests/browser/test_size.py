"""A report of ten thousand trials: how long it takes to open, and whether one still finds a trace in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report import write_reports
from tests.browser.chromium import DESKTOP, Browser
from tests.report.factory import experiment, packed

pytestmark = pytest.mark.browser
SECONDS = 3.0
TRIES = 3
"""The best one counts: what else the machine does is not the page's."""


def test_ten_thousand_trials_open_in_three_seconds(browser: Browser, tmp_path: Path) -> None:
    frozen, records = experiment(scenarios=67, repeats=13)
    assert len(records) > 10_000
    write_reports(tmp_path, frozen, records, packed)
    browser.size(*DESKTOP)
    seconds = [opening(browser, (tmp_path / "report.html").as_uri()) for _ in range(TRIES)]
    print(f"opens in {min(seconds):.2f} s")
    assert min(seconds) < SECONDS
    assert browser.run("return document.querySelectorAll('#list tbody tr').length") == 100
    browser.run("location.hash = 'trial-9999'")
    assert browser.wait('#shown[data-trial="9999"] .timeline').text
    assert browser.errors() == []


def opening(browser: Browser, address: str) -> float:
    """Seconds from the request until the load event has ended."""
    browser.open(address)
    return float(browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd")) / 1000
