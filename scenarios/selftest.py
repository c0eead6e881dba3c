"""Proves that a scenario is what it says, by playing it: `check_scenario`.

    healthy     before the injection no workload is short of replicas and nothing fires
    active      every fault is confirmed, and the alerts that its mechanism implies fire
    solution    each accepted alternative of the documented solution leads to an all-clear verdict
    undo        every object is as it was before the injection
    controls    doing nothing, restarting everything and deleting the workload are not all clear

Owns: the checks and their report. Does not own: environments and tools, which the caller makes; each check
plays in a fresh environment, so a broken one cannot hide another.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from harness.cluster import ClusterError, ObjectRef, rollout_restart, wait_until
from harness.errors import HarnessError
from harness.protocols import Environment
from harness.scoring.collateral import damage, observe
from harness.scoring.verdict import Baseline
from harness.telemetry import Alert
from scenarios.faults import Injection, fault_of, undo
from scenarios.faults.base import find
from scenarios.faults.chaos import ScheduledChaosExperiment
from scenarios.faults.feature_flags import FLAG_DAEMON
from scenarios.faults.waiters import ROLLOUT_S, RestartKubernetesWorkload
from scenarios.schema import ExpectedAlert, Scenario, Step

ALERTS_S = 1200.0
"""Expected alerts must fire within this time: the longest rate window and hold time add up to 10 min."""
POLL_S = 30.0
BACKGROUND = re.compile(
    "Watchdog|InfoInhibitor|TargetDown|NodeCPUHighUsage|NodeSystemSaturation|CPUThrottlingHigh|KubeAPI.*|etcd.*"
)
"""Alerts that clusters have without any fault (facts/itbench.md, appendix B)."""
WORKLOAD_KINDS = ("Deployment", "StatefulSet")


class PlayedEnvironment(Environment, Protocol):
    """An environment that has been started and tells what it captured on the way."""

    @property
    def baseline(self) -> Baseline:
        """The healthy application, just before the injection."""

    @property
    def injections(self) -> Sequence[Injection]:
        """What was injected."""


class ToolAnswer(Protocol):
    """What came of a tool call."""

    @property
    def ok(self) -> bool:
        """Whether the tool could do it."""

    @property
    def text(self) -> str:
        """What an agent would read."""

    @property
    def seconds(self) -> float:
        """Environment seconds that the call takes."""


class Tools(Protocol):
    """The agent's tools."""

    def call(self, name: str, raw_arguments: Mapping[str, Any]) -> ToolAnswer:
        """Run one call."""


class Stage(NamedTuple):
    """A scenario that is being played."""

    environment: PlayedEnvironment
    tools: Tools


MakeStage = Callable[[Scenario], Awaitable[Stage]]
"""Starts the scenario in a fresh environment: deployed, injected, confirmed."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str = ""
    """What was found; for controls, which parts of the verdict caught it."""


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """The outcome of all checks of one scenario."""

    key: str
    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    def failures(self) -> list[str]:
        """The failed checks in words."""
        return [f"{self.key} {check.name}: {check.detail}" for check in self.checks if not check.ok]


class CheckFailedError(Exception):
    """A check found something wrong."""


async def check_scenario(scenario: Scenario, make_stage: MakeStage) -> ScenarioReport:
    """Play a scenario in every way that its file promises, and in some that must not work."""
    bodies: dict[str, Body] = {"active": _active}
    bodies |= {name: partial(_remedied, steps=steps) for name, steps in _ways(scenario)}
    bodies["undo"] = _undone
    controls = {"nothing": _nothing, "restart_everything": _restart_all, "delete_workload": _delete_workload}
    bodies |= {name: partial(_caught, act=act) for name, act in controls.items()}
    checks = [await _check(name, body, scenario, make_stage) for name, body in bodies.items()]
    return ScenarioReport(scenario.key, tuple(checks))


Body = Callable[[Scenario, Stage], Awaitable[str]]
Act = Callable[[Scenario, PlayedEnvironment], None]


async def _check(name: str, body: Body, scenario: Scenario, make_stage: MakeStage) -> Check:
    """One check in its own environment. An error of the harness is a failed check, not the end."""
    try:
        stage = await make_stage(scenario)
    except (HarnessError, ClusterError) as error:
        return Check(name, False, f"could not be played: {error}")
    try:
        return Check(name, True, await body(scenario, stage))
    except (CheckFailedError, HarnessError, ClusterError) as error:
        return Check(name, False, str(error))
    finally:
        await stage.environment.close()


async def _active(scenario: Scenario, stage: Stage) -> str:
    """Healthy before, active now, and the expected alerts in time."""
    environment = stage.environment
    baseline = environment.baseline
    wrong = [f"{name}@{entity}" for name, entity in sorted(baseline.alerts) if not BACKGROUND.fullmatch(name)]
    if wrong:
        raise CheckFailedError(f"alerts before the injection: {', '.join(wrong)}")
    idle = [str(target) for target, ready in baseline.condition.available.items() if ready == 0]
    if idle:
        raise CheckFailedError(f"not available before the injection: {', '.join(idle)}")
    for injection in environment.injections:
        if not fault_of(injection).confirm_active(environment.cluster, injection):
            raise CheckFailedError(f"{injection.fault} is not active after the injection")
        if fault_of(injection).cause_removed(environment.cluster, injection):
            raise CheckFailedError(
                f"{injection.fault}: the predicate says that the cause is gone while it stands"
            )
    missing = await _missing_alerts(scenario.expected_alerts, environment)
    if missing:
        firing = {f"{alert.name}@{alert.entity}" for alert in environment.telemetry.alerts()}
        raise CheckFailedError(f"did not fire: {', '.join(missing)}; there are {', '.join(sorted(firing))}")
    return f"{len(scenario.expected_alerts)} expected alerts"


async def _missing_alerts(expected: Sequence[ExpectedAlert], environment: PlayedEnvironment) -> list[str]:
    """Wait for the expected alerts; those that do not fire in time."""
    missing = list(expected)
    deadline = environment.now() + ALERTS_S
    while True:
        firing = [alert for alert in environment.telemetry.alerts() if alert.state == "firing"]
        missing = [one for one in missing if not any(_is(alert, one) for alert in firing)]
        if not missing or environment.now() >= deadline:
            return [f"{one.alert}@{one.entity}" for one in missing]
        await environment.elapse(POLL_S)


def _is(alert: Alert, expected: ExpectedAlert) -> bool:
    """Whether an alert is the expected one; a pod stands for the workload that owns it."""
    if alert.name != expected.alert:
        return False
    pods = rf"{re.escape(expected.entity)}(-[a-z0-9]{{5,10}})?-([a-z0-9]{{5}}|\d+)"
    return alert.entity == expected.entity or re.fullmatch(pods, alert.entity) is not None


def _ways(scenario: Scenario) -> Iterator[tuple[str, list[Step]]]:
    """(name, steps) of enough ways through the solution that every alternative is played once."""
    for group, alternatives in enumerate(scenario.solutions):
        for number, alternative in enumerate(alternatives):
            if number == 0 and group > 0:
                continue
            chosen = [others[0] for others in scenario.solutions]
            chosen[group] = alternative
            yield f"solution {group + 1}.{number + 1}", [step for one in chosen for step in one.steps]


async def _remedied(scenario: Scenario, stage: Stage, steps: Sequence[Step]) -> str:
    environment = stage.environment
    await _missing_alerts(scenario.expected_alerts, environment)
    for step in steps:
        answer = stage.tools.call(step.tool, step.args)
        if not answer.ok:
            raise CheckFailedError(f"{step.tool}: {answer.text}")
        await environment.elapse(answer.seconds)
    verdict = await environment.verdict()
    if not verdict.all_clear:
        left = (*verdict.remaining_alerts, *verdict.remaining_causes, *verdict.damage)
        raise CheckFailedError(f"not all clear: {'; '.join(left)}")
    return f"all clear after {verdict.settled_after_s:.0f} s"


async def _undone(scenario: Scenario, stage: Stage) -> str:
    environment = stage.environment
    cluster, before = environment.cluster, environment.baseline.condition
    await environment.run(lambda: undo(cluster, scenario, environment.injections))
    await environment.run(lambda: wait_until(cluster, lambda: not damage(cluster, before, ()), ROLLOUT_S))
    wrong = damage(cluster, before, ())
    extra = [
        str(target) for target in observe(cluster, before.namespaces).objects if target not in before.objects
    ]
    if wrong or extra:
        raise CheckFailedError("; ".join([*wrong, *(f"{target} was left behind" for target in extra)]))
    return ""


async def _caught(scenario: Scenario, stage: Stage, act: Act) -> str:
    """The act must not be all clear; tells what caught it."""
    environment = stage.environment
    await _missing_alerts(scenario.expected_alerts, environment)
    await environment.run(lambda: act(scenario, environment))
    verdict = await environment.verdict()
    if verdict.all_clear:
        raise CheckFailedError("the verdict is all clear")
    caught = {
        "symptom": not verdict.symptom_cleared,
        "cause": not verdict.cause_removed,
        "damage": verdict.collateral_damage,
    }
    return ", ".join(part for part, holds in caught.items() if holds)


def _nothing(scenario: Scenario, environment: PlayedEnvironment) -> None:
    """An agent that only looks."""


def _restart_all(scenario: Scenario, environment: PlayedEnvironment) -> None:
    """`kubectl rollout restart` for every workload of the application."""
    for target in environment.baseline.condition.workloads:
        if target.kind in WORKLOAD_KINDS:
            rollout_restart(environment.cluster, *target)


def _delete_workload(scenario: Scenario, environment: PlayedEnvironment) -> None:
    """Delete what seems broken, which silences its alerts."""
    for target in victims(scenario):
        if find(environment.cluster, target) is not None:
            environment.cluster.delete(*target)


def victims(scenario: Scenario) -> tuple[ObjectRef, ...]:
    """Workloads that show the symptom: those that a fault changes, those that an experiment hits, those
    that are restarted to take it up, and those behind a Service that it breaks."""
    found: list[ObjectRef] = []
    for injection in scenario.injections():
        fault = fault_of(injection)
        if isinstance(fault, ScheduledChaosExperiment):
            found.extend(fault.workloads())
        for target in fault.objects():
            if target.kind in WORKLOAD_KINDS:
                found.append(target)
            elif target.kind == "Service":
                found.append(ObjectRef("Deployment", target.name, target.namespace))
    for disruption in scenario.disruptions:
        for planned in disruption.post_injection:
            if planned.waiter == RestartKubernetesWorkload.id:
                found.append(RestartKubernetesWorkload.model_validate(planned.args).target)
    return tuple(target for target in dict.fromkeys(found) if target.name != FLAG_DAEMON)
