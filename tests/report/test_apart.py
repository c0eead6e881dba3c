"""The report of a large run is written by a process of its own: the same files, and never an orphan."""

from __future__ import annotations

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
import os, signal, subprocess, sys

code = "import os, harness.report.apart as apart; print(os.getpid(), flush=True); apart.end_with_parent()"
command = [sys.executable, "-c", code]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


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


@pytest.mark.parametrize(("module", "how"), [("tests.report.killed", "killed"), ("tests.absent", "failed")])
def test_what_became_of_it_is_said_and_how_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, how: str
) -> None:
    stored = stored_run(tmp_path / "run")
    monkeypatch.setattr(apart, "LARGE", 0)
    monkeypatch.setattr(apart, "MODULE", module)
    with pytest.raises(RunStopped, match=f"{how}.*harness report"):
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
