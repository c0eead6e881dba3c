"""The self-test: green on the catalogue, red when a part of a scenario is broken on purpose."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.cluster import Cluster
from scenarios.faults import FAULTS, Injection
from scenarios.loader import catalogue
from scenarios.schema import Scenario
from scenarios.selftest import ScenarioReport, check_scenario
from tests.scenarios.stages import make_stage, scenario


def report_on(played: Scenario) -> ScenarioReport:
    return asyncio.run(check_scenario(played, make_stage))


def changed(played: Scenario, **fields: Any) -> Scenario:
    return Scenario.model_validate({**played.model_dump(by_alias=True), **fields})


@pytest.mark.parametrize("scenario_id", catalogue().ids)
def test_a_scenario_is_what_it_says(scenario_id: int) -> None:
    report = report_on(scenario(scenario_id))
    assert report.ok, "\n".join(report.failures())
    names = [check.name for check in report.checks]
    assert [name for name in names if not name.startswith("solution")] == [
        "active",
        "undo",
        "nothing",
        "restart_everything",
        "delete_workload",
    ]
    assert len(names) == 5 + sum(map(len, scenario(scenario_id).solutions))


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
    assert failed(report_on(changed(scenario(30), solutions=solutions))) == {"solution 1.1", "solution 1.2"}


def test_an_injection_that_fails_is_reported_in_every_check() -> None:
    broken = scenario(30).model_dump(by_alias=True)["disruptions"]
    broken[0]["injections"][0]["args"]["targetPort"] = 1
    report = report_on(changed(scenario(30), disruptions=broken))
    assert len(failed(report)) == len(report.checks)
    assert "has no target port 1" in report.failures()[0]


def test_a_broken_undo_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = FAULTS["modified-target-port-kubernetes-service"]
    monkeypatch.setattr(fault, "undo", lambda self, cluster, injection: None)
    assert failed(report_on(scenario(30))) == {"undo"}


def test_a_predicate_that_is_always_true_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(self: object, cluster: Cluster, injection: Injection) -> bool:
        return True

    monkeypatch.setattr(FAULTS["modified-target-port-kubernetes-service"], "cause_removed", always)
    assert "active" in failed(report_on(scenario(30)))
