"""The self-test: green on the catalogue, red when a part of a scenario is broken on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from harness import cli, validation
from harness.cluster import Cluster
from harness.environments import rules as alert_rules
from harness.environments.simulated import signals
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.validation import check as report_on
from harness.validation import validate
from scenarios.controls import CONTROLS
from scenarios.faults import FAULTS, Injection
from scenarios.loader import catalogue
from scenarios.schema import Scenario
from scenarios.selftest import ScenarioReport
from tests.scenarios.stages import scenario

SERVICE_PORT = "modified-target-port-kubernetes-service"


@pytest.fixture
def fresh_incidents(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that was prepared while the code was whole is used again, nor the other way round."""
    monkeypatch.setattr(SimulatedEnvironment, "_prepared", type(SimulatedEnvironment._prepared)())
    for remembered in (signals.signals_of, signals.differences):
        remembered.cache_clear()
    yield
    for remembered in (signals.signals_of, signals.differences):
        remembered.cache_clear()


def changed(played: Scenario, **fields: Any) -> Scenario:
    return Scenario.model_validate({**played.model_dump(by_alias=True), **fields})


@pytest.mark.parametrize("scenario_id", catalogue().ids)
def test_a_scenario_is_what_it_says(scenario_id: int) -> None:
    report = report_on(scenario(scenario_id))
    assert report.ok, "\n".join(report.failures())
    names = [check.name for check in report.checks]
    assert [name for name in names if not name.startswith("solution")] == [
        "healthy",
        "active",
        "undo",
        "answer",
        *CONTROLS,
    ]
    # every alternative is played once, the first ones of all groups together
    solutions = scenario(scenario_id).solutions
    ways = sum(map(len, solutions)) - max(0, len(solutions) - 1)
    assert len(names) == 4 + len(CONTROLS) + ways


def failed(report: ScenarioReport) -> set[str]:
    return {check.name for check in report.checks if not check.ok}


def test_an_alert_that_does_not_fire_is_found() -> None:
    alerts = [{"alert": "HighRequestErrorRate", "entity": "email"}]
    report = report_on(changed(scenario(30), expected_alerts=alerts))
    assert failed(report) == {"active"}
    assert "did not fire: HighRequestErrorRate@email" in report.failures()[0]


def test_a_solution_that_does_not_help_is_found() -> None:
    useless = {"tool": "rollout_restart", "args": {"namespace": "otel-demo", "name": "ad"}}
    wrong = {"tool": "rollout_undo", "args": {"namespace": "otel-demo", "name": "no-such"}}
    solutions = [[{"steps": [useless]}, {"steps": [wrong]}]]
    report = report_on(changed(scenario(30), solutions=solutions))
    assert failed(report) == {"solution 1.1", "solution 1.2", "answer"}


def test_an_injection_that_fails_is_reported_in_every_check() -> None:
    broken = scenario(30).model_dump(by_alias=True)["disruptions"]
    broken[0]["injections"][0]["args"]["targetPort"] = 1
    report = report_on(changed(scenario(30), disruptions=broken))
    assert len(failed(report)) == len(report.checks)
    assert "has no target port 1" in report.failures()[0]


def red(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `scenarios validate 30` complains about; it must leave with 1."""
    assert cli.run(["scenarios", "validate", "30", "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    return [line.split(": ")[0] for line in out.splitlines() if line.startswith("FAILED")]


@pytest.mark.usefixtures("fresh_incidents")
class TestBrokenOnPurpose:
    """One line of code is made wrong; the command is red and names scenario and check."""

    def test_an_undo(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setattr(FAULTS[SERVICE_PORT], "undo", lambda self, cluster, injection: None)
        assert red(capsys) == ["FAILED live/8949d5b/30 undo"]

    @pytest.mark.parametrize(("answer", "checks"), [
        (True, ["active"]),
        (False, ["solution 1.1", "answer"]),
    ])  # fmt: skip
    def test_a_predicate(
        self,
        answer: bool,
        checks: list[str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def predicate(self: object, cluster: Cluster, injection: Injection) -> bool:
            return answer

        monkeypatch.setattr(FAULTS[SERVICE_PORT], "cause_removed", predicate)
        assert red(capsys) == [f"FAILED live/8949d5b/30 {check}" for check in checks]

    def test_an_alert_rule(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        rules = tuple(
            rule.model_copy(update={"above": 1e9}) if rule.alert == "HighRequestErrorRate" else rule
            for rule in alert_rules.load_rules()
        )
        for module in ("rules", "simulated.recorder", "simulated.monitoring", "simulated.signals"):
            monkeypatch.setattr(f"harness.environments.{module}.load_rules", lambda: rules)
        assert red(capsys) == ["FAILED live/8949d5b/30 active"]

    def test_a_verdict_that_lets_everything_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("harness.scoring.verdict._causes", lambda cluster, injections: [])
        monkeypatch.setattr("harness.scoring.verdict.damage", lambda *given, **named: [])
        monkeypatch.setattr("harness.scoring.verdict._Watch.remaining", lambda self: [])
        (report,) = validate([30], jobs=1)
        assert failed(report) == set(CONTROLS)


def test_a_green_run_leaves_with_0_and_says_what_caught_the_control_agents(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["scenarios", "validate", "30", "37", "--jobs", "1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "2 of 2 scenarios are what they say" in out
    assert (
        "restart_everything: caught in 2: symptom 1 (0 alone), cause 1 (0 alone), damage 1 (1 alone)" in out
    )


def test_several_processes_find_the_same_as_one() -> None:
    assert validate("30,114", jobs=2) == validate("30,114", jobs=1)


def test_the_agent_that_knows_the_answer_works_through_a_whole_trial() -> None:
    record = asyncio.run(validation.run_with_answer(scenario(31)))
    assert record.status == "scored"
    assert record.tool_calls == 4
    assert record.score is not None
    assert (record.score.recall, record.score.precision) == (1, 1)
    assert record.verdict is not None
    assert record.verdict.all_clear
