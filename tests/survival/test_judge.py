"""Killed during a judge call: what was answered is not asked, and paid for, again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.survival.runs import ROOT


def judge(run: Path, out: Path, deadly: int) -> int:
    command = [
        sys.executable,
        "-m",
        "tests.survival.judging",
        str(run),
        str(out),
        str(deadly),
        f"{out}.calls",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=400).returncode


def calls(out: Path) -> Counter[str]:
    return Counter(Path(f"{out}.calls").read_text(encoding="utf-8").split())


def test_only_the_call_in_flight_is_asked_again(quiet_run: Path, tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert judge(quiet_run, undisturbed, 0) == 0
    asked = calls(undisturbed)
    assert judge(quiet_run, killed, asked.total() // 2) == -signal.SIGKILL
    assert judge(quiet_run, killed, 0) == 0
    twice = calls(killed) - asked
    assert set(calls(killed)) == set(asked)
    assert twice.total() == 1, "the one that nobody saw answered"
    labels = [(out / "labels.jsonl").read_bytes() for out in (undisturbed, killed)]
    assert labels[0] == labels[1]
