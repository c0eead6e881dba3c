"""The report of a large run is written by a process of its own: the same files, and never an orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import RunStopped
from harness.report import apart, write_reports
from harness.store import RunDirectory
from tests.report.factory import stored_run

DRIVER = """
import os, signal, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from harness.report.apart import _end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), _end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die(path: Path) -> None:
    """In place of a report: what the kernel does to a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_it_writes_what_one_in_the_same_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = stored_run(tmp_path / "run")
    plan = stored.read_plan()
    here = write_reports(stored.path, plan, stored.records(), stored.packed_trace)
    page = (stored.path / "report.html").read_bytes()
    (stored.path / "report.html").unlink()
    monkeypatch.setattr(apart, "LARGE", 0)
    assert apart.report_on(RunDirectory(stored.path), plan) == here
    assert (stored.path / "report.html").read_bytes() == page


def test_a_killed_report_says_how_to_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = stored_run(tmp_path / "run")
    monkeypatch.setattr(apart, "LARGE", 0)
    monkeypatch.setattr(apart, "_from_stored", die)
    with pytest.raises(RunStopped, match="harness report"):
        apart.report_on(stored, stored.read_plan())


def test_it_ends_with_the_driver(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert driver.returncode == -signal.SIGKILL
    child = int(driver.stdout)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()
