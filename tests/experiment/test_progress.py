"""What a person sees while trials run: a live table, plain lines, or nothing."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from harness import progress
from harness.finished import Finished
from harness.progress import Mode, Progress, duration


def trial(number: int, reason: str | None = None, cost_usd: float = 0.02) -> Finished:
    return Finished(f"t{number}", "failed" if reason else "scored", reason, cost_usd, b"{}", ())


class Clock:
    """Stands in for `time.monotonic`."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.delenv("CI", raising=False)
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def session(clock: Clock, seconds: float, step: float, mode: Mode = "auto", terminal: bool = False) -> str:
    """What is shown when a trial finishes every `step` seconds; each third one fails."""
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=terminal, width=100, _environ={"TERM": "xterm"})
    total = round(seconds / step)
    with Progress(2 * total, 0, at_once=lambda: 16, usd=40.0, mode=mode, console=console) as shown:
        for number in range(total):
            clock.now += step
            shown.add([trial(number, "budget_turns" if number % 3 == 0 else None)])
        if shown._live:
            shown._live.refresh()
    return sink.getvalue()


def test_elsewhere_than_on_a_terminal_few_plain_lines(clock: Clock) -> None:
    lines = session(clock, 3600, 2).splitlines()
    assert 20 < len(lines) < 80
    assert "\x1b" not in "".join(lines)
    assert lines[-1] == (
        "1800/3600 trials | 16 running | 1 h 00 min | about 1 h 00 min left | $36.00 of $40.00 | budget_turns 600"
    )


def test_a_terminal_has_a_live_table_with_what_causes_mean(clock: Clock) -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", session(clock, 60, 10, terminal=True))
    for shown in ("done", "6 of 12", "running", "failed", "$0.12 of $40.00", "budget_turns", "1 min 00 s"):
        assert shown in text
    assert max(map(len, text.splitlines())) <= 100


def test_in_ci_a_terminal_gets_plain_lines_too(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert session(clock, 60, 10, terminal=True).count("trials | ") > 3


def test_plain_and_quiet_are_asked_for(clock: Clock) -> None:
    assert "\x1b[?25l" not in session(clock, 60, 10, mode="plain", terminal=True)
    assert session(clock, 60, 10, mode="quiet", terminal=True) == ""


def test_no_color_is_respected(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=True, width=100)
    with Progress(3, 0, console=console) as shown:
        shown.add([trial(0, "budget_turns")])
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", sink.getvalue())


@pytest.mark.parametrize(
    ("seconds", "says"), [(0, "0 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_are_written_as_people_say_them(seconds: float, says: str) -> None:
    assert duration(seconds) == says
