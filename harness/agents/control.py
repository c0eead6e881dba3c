"""Control agents: what is known of an incident decides what they do. They prove the verdict, and are no contestants.

    answer               takes the documented solution, waits, names the root causes: all clear
    nothing              looks at everything an operator would look at, and leaves
    restart_everything   `kubectl rollout restart` for every workload
    delete_workload      deletes what seems broken

Owns: these conducts, each through the session's tools, so that its trace shows what the cluster answered. Does not
own: what the acts mean (`scenarios.controls`), the recital of the answer (`harness/validation/answer.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from harness.agents import AgentConfig
from harness.scoring.collateral import Condition, observe
from harness.session import Session
from harness.validation.answer import answer_script, submission_of
from scenarios.applications import load_application
from scenarios.controls import victims
from scenarios.schema import Scenario

Call = tuple[str, Mapping[str, Any]]
LOOKS = ("Pod", "Deployment", "Endpoints", "ResourceQuota")
"""Kinds that a control agent lists before it acts, and after."""
WAIT_S = 300


class ControlConfig(AgentConfig):
    """Which of them."""

    conduct: Literal["answer", "nothing", "restart_everything", "delete_workload"]


class ControlAgent:
    """An agent that was told the scenario."""

    Config = ControlConfig
    own_model = True

    def __init__(self, config: ControlConfig) -> None:
        self.config = config
        self._scenario: Scenario | None = None

    def learn(self, scenario: Scenario) -> None:
        """Take in what no contestant may know; before `run`."""
        self._scenario = scenario

    async def run(self, session: Session) -> None:
        """Look, act, look again, submit."""
        scenario = self._scenario
        if scenario is None:
            raise RuntimeError("a control agent must learn its scenario before it runs")
        namespace = load_application(scenario.application).namespace
        cluster = session.environment.cluster
        condition = await session.environment.run(lambda: observe(cluster, (namespace,)))
        act = CONDUCTS[self.config.conduct](scenario, condition, namespace)
        session.open()
        for name, args in (*look(namespace), *act):
            await session.execute([session.request(name, json.dumps(args))])


def look(namespace: str) -> Sequence[Call]:
    """What an operator looks at."""
    listed: list[Call] = [("kubectl_get", {"kind": kind, "namespace": namespace}) for kind in LOOKS]
    events = {"group_by": ["object_kind", "deployment", "reason"], "limit": 200}
    return [("alert_summary", {}), *listed, ("event_analysis", events)]


def answer(scenario: Scenario, condition: Condition, namespace: str) -> Sequence[Call]:
    """The first documented solution, and the root causes that are scored."""
    return answer_script(scenario, condition)


def nothing(scenario: Scenario, condition: Condition, namespace: str) -> Sequence[Call]:
    """Leave."""
    return [("submit", submission_of([]))]


def restart_everything(scenario: Scenario, condition: Condition, namespace: str) -> Sequence[Call]:
    """Restart every Deployment, and look again."""
    after: list[Call] = [("wait", {"seconds": WAIT_S}), *look(namespace)]
    return [("rollout_restart", {"namespace": namespace}), *after, ("submit", submission_of([]))]


def delete_workload(scenario: Scenario, condition: Condition, namespace: str) -> Sequence[Call]:
    """Delete what seems broken, and look again."""
    doomed = victims(scenario, condition) or condition.workloads[:1]
    deletions: list[Call] = [
        ("delete_object", {"kind": one.kind, "name": one.name, "namespace": one.namespace}) for one in doomed
    ]
    after: list[Call] = [("wait", {"seconds": WAIT_S}), *look(namespace)]
    return [*deletions, *after, ("submit", submission_of([]))]


CONDUCTS: dict[str, Callable[[Scenario, Condition, str], Sequence[Call]]] = {
    conduct.__name__: conduct for conduct in (answer, nothing, restart_everything, delete_workload)
}
