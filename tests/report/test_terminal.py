"""The contrast table on the terminal: complete, at most a hundred columns wide, plain where asked."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from harness.report import build_results, print_contrasts
from harness.report.terminal import WIDTH
from tests.report.factory import experiment, handmade


def printed(results: dict[str, Any]) -> str:
    sink = io.StringIO()
    print_contrasts(results, Console(file=sink, width=WIDTH, highlight=False))
    return sink.getvalue()


def test_the_table_fits_a_hundred_columns_unfolded() -> None:
    text = printed(build_results(*experiment(scenarios=3)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "verifier_gate − verifier_gate_prompt" in text
    assert "\x1b" not in text


def test_simulated_numbers_say_so() -> None:
    assert "SIMULATED" in printed(build_results(*handmade()))


def test_results_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_contrasts(build_results(*handmade()))
    out, err = capsys.readouterr()
    assert "40 planned = 35 scored + 2 failed + 1 excluded + 2 owed" in out
    assert err == ""


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    sink = io.StringIO()
    print_contrasts(build_results(*handmade()), Console(file=sink, force_terminal=True, width=WIDTH))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", sink.getvalue())
