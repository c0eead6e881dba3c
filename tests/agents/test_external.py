"""External agents: the protocol, and everything that a program can do wrong."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.agents import create_agent
from harness.errors import ConfigurationError
from harness.protocols import ALLOW, GuardEvent, Operator, ProposedToolCall, Ruling
from harness.trace import GuardFired, ModelCall, ProgramOutput, ToolCall, ToolResult
from tests.agents.trials import ANSWER, Played, play

PROGRAM = str(Path(__file__).with_name("misbehaving.py"))


def run(behaviour: str, guards: Any = tuple, turns: int = 40, seconds: float = 3600, **fields: Any) -> Played:
    return play(
        {"kind": "external", "argv": ["python", PROGRAM, behaviour], "grace_seconds": 1, **fields},
        guards=guards,
        turns=turns,
        seconds=seconds,
    )


def gone(pid: int) -> bool:
    for _ in range(50):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


def test_a_program_that_hangs_runs_out_of_time_and_leaves_no_process_behind() -> None:
    began = time.monotonic()
    played = run("hang", wall_seconds=3)
    assert played.record.reason == "budget_time"
    assert time.monotonic() - began < 20
    (output,) = played.of(ProgramOutput)
    assert gone(int(output.text))


def test_its_seconds_pass_on_the_virtual_clock() -> None:
    played = run("hang", seconds=300, time_factor=100)
    assert played.record.reason == "budget_time"
    assert played.record.agent_seconds >= 300
    assert played.record.wall_seconds < 20


def test_a_flood_of_output_is_cut_and_the_reason_said() -> None:
    played = run("flood", output_bytes=300_000)
    assert (played.record.status, played.record.reason) == ("failed", "budget_output")
    assert "more than 300,000 bytes" in played.record.detail
    (output,) = played.of(ProgramOutput)
    assert len(output.text) == 16_384
    assert output.total_bytes > 300_000


def test_a_flood_of_requests_is_output_too() -> None:
    assert run("flood_of_requests", output_bytes=2_000_000).record.reason == "budget_output"


def test_each_call_of_a_tool_is_a_turn() -> None:
    played = run("flood_of_calls", turns=5)
    assert played.record.reason == "budget_turns"
    assert played.record.turns == played.record.tool_calls == 5


def test_a_program_that_dies_is_an_agent_error_with_its_exit_code_and_last_words() -> None:
    played = run("die")
    assert played.record.reason == "agent_error"
    assert "exit code 3: out of ideas" in played.record.detail
    assert "exit code -6" in run("crash").record.detail


def test_a_program_that_leaves_without_an_answer_has_no_output() -> None:
    assert run("leave").record.reason == "no_output"


def test_nonsense_is_recorded_as_failed_calls() -> None:
    played = run("nonsense")
    assert played.record.reason == "schema_violation"
    assert "of its requests were not MCP" in played.record.detail
    assert [(result.name, result.ok) for result in played.of(ToolResult)] == [
        *(("make_coffee", False), ("kubectl_get", False), ("submit", False)),
    ]
    assert "unknown tool 'make_coffee'" in played.of(ToolResult)[0].text


def test_without_the_token_nobody_gets_in() -> None:
    played = run("stranger")
    assert played.record.reason == "no_output"
    assert played.record.tool_calls == 0


def test_usage_is_what_the_agent_reports_and_unknown_otherwise() -> None:
    reported = run("report")
    assert reported.record.usage_source == "reported"
    assert (reported.record.usage.input_tokens, reported.record.usage.cost_usd) == (100, 0.5)
    assert [call.model for call in reported.of(ModelCall)] == ["mine"]
    assert reported.record.turns == 1
    assert run("leave").record.usage_source == "unknown"


def test_it_learns_the_task_and_nothing_about_the_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "s3cret")
    monkeypatch.setenv("WANTED_KEY", "w4nted")
    (output,) = run("reveal", env={"COLOUR": "blue"}, pass_env=["WANTED_KEY"]).of(ProgramOutput)
    told = json.loads(output.text)
    assert told["env"]["COLOUR"] == "blue"
    assert told["env"]["WANTED_KEY"] == "w4nted"
    assert "otel-demo" in told["task"]["task"]
    assert told["task"]["budget"]["turns"] == 40
    shown = output.text.lower()
    for hidden in ("s3cret", "baseline", "live/", "quote_addr", "shipping"):
        assert hidden not in shown


def test_a_program_can_speak_over_its_own_stdin_and_stdout() -> None:
    played = run("speak_stdio", transport="stdio", env={"ANSWER": json.dumps(ANSWER)})
    assert played.record.status == "scored", played.record.detail
    assert played.record.verdict is not None
    assert played.record.verdict.all_clear
    assert [call.name for call in played.of(ToolCall)] == ["rollout_undo", "wait", "submit"]


class NoUndo:
    name = "no_undo"

    async def review(self, event: GuardEvent, operator: Operator) -> Ruling:
        if isinstance(event, ProposedToolCall) and event.name == "rollout_undo":
            return Ruling("deny", feedback="Not today.")
        return ALLOW


def test_guards_sit_in_front_of_its_tools() -> None:
    played = run(
        "speak_stdio", guards=lambda: [NoUndo()], transport="stdio", env={"ANSWER": json.dumps(ANSWER)}
    )
    assert [fired.guard for fired in played.of(GuardFired)] == ["no_undo"]
    assert played.record.verdict is not None
    assert not played.record.verdict.cause_removed


def test_a_program_that_cannot_start_stops_the_run() -> None:
    with pytest.raises(ConfigurationError, match="cannot start '/no/such/program'"):
        play({"kind": "external", "argv": ["/no/such/program"]})


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "give argv, the program to start, or image"),
        ({"image": "mine:1", "transport": "http"}, "an image reaches the tools over transport: stdio"),
        ({"argv": ["a"], "wall_seconds": 0}, "agents.x.wall_seconds"),
        ({"argv": ["a"], "shell": True}, "agents.x.shell: unknown key"),
    ],
)
def test_a_bad_configuration_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        create_agent("x", {"kind": "external", **fields})
