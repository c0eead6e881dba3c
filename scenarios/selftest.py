"""Proves that a scenario is what it says, by playing it: `check_scenario`.

    healthy     before the injection no workload is short of replicas and nothing fires
    active      every fault is confirmed, and the alerts that its mechanism implies fire
    solution    each accepted alternative of the documented solution leads to an all-clear verdict
    undo        every object is as it was before the injection
    answer      an agent that knows the answer scores 1 and remediates, in a real trial
    controls    none of the control agents (`scenarios.controls`) is all clear

In a false alarm nothing is broken: doing nothing is all clear, every other control is not, and the agent that knows
the answer blames nothing.

Owns: the checks and their report. Does not own: environments, tools and trials, which the caller makes; each check
plays in a fresh environment, so a broken one cannot hide another.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from harness.cluster import ClusterError, wait_until
from harness.errors import HarnessError
from harness.protocols import Environment
from harness.records import TrialRecord
from harness.scoring.collateral import damage, observe
from harness.scoring.verdict import Baseline
from harness.telemetry import Alert
from scenarios.controls import CONTROLS, Act
from scenarios.faults import Injection, fault_of, undo
from scenarios.faults.waiters import ROLLOUT_S
from scenarios.schema import ExpectedAlert, Scenario, Step

ALERTS_S = 1200.0
"""Expected alerts must fire within this time: the longest rate window and hold time add up to 10 min."""
POLL_S = 30.0
BACKGROUND = re.compile(
    "Watchdog|InfoInhibitor|TargetDown|NodeCPUHighUsage|NodeSystemSaturation|CPUThrottlingHigh|KubeAPI.*|etcd.*"
)
"""Alerts that clusters have without any fault (docs/sources IB)."""


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
RunAnswer = Callable[[Scenario], Awaitable[TrialRecord]]
"""Runs a whole trial of an agent that knows the answer."""


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str = ""
    """What was found."""
    caught: tuple[str, ...] = ()
    """Controls only: the parts of the verdict that caught it."""


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


async def check_scenario(scenario: Scenario, make_stage: MakeStage, run_answer: RunAnswer) -> ScenarioReport:
    """Play a scenario in every way that its file promises, and in some that must not work."""
    bodies: dict[str, Body] = {"healthy": _healthy, "active": _active}
    bodies |= {name: partial(_remedied, steps=steps) for name, steps in _ways(scenario)}
    bodies["undo"] = _undone
    checks = [await _check(name, body, scenario, make_stage) for name, body in bodies.items()]
    checks.append(await _answered(scenario, run_answer))
    for name, act in CONTROLS.items():
        right = scenario.false_alarm and name == "nothing"
        checks.append(await _check(name, partial(_caught, act=act, right=right), scenario, make_stage))
    return ScenarioReport(scenario.key, tuple(checks))


class Found(NamedTuple):
    """What a check that passed has seen."""

    detail: str = ""
    caught: tuple[str, ...] = ()


Body = Callable[[Scenario, Stage], Awaitable[Found]]


async def _check(name: str, body: Body, scenario: Scenario, make_stage: MakeStage) -> Check:
    """One check in its own environment. An error of the harness is a failed check, not the end."""
    try:
        stage = await make_stage(scenario)
    except (HarnessError, ClusterError) as error:
        return Check(name, False, f"could not be played: {error}")
    try:
        return Check(name, True, *await body(scenario, stage))
    except (CheckFailedError, HarnessError, ClusterError) as error:
        return Check(name, False, str(error))
    finally:
        await stage.environment.close()


async def _healthy(scenario: Scenario, stage: Stage) -> Found:
    """Before the injection nothing fired and everything was available."""
    baseline = stage.environment.baseline
    wrong = [f"{name}@{entity}" for name, entity in sorted(baseline.alerts) if not BACKGROUND.fullmatch(name)]
    if wrong:
        raise CheckFailedError(f"alerts before the injection: {', '.join(wrong)}")
    idle = [str(target) for target, ready in baseline.condition.available.items() if ready == 0]
    if idle:
        raise CheckFailedError(f"not available before the injection: {', '.join(idle)}")
    return Found(f"{len(baseline.condition.workloads)} workloads")


async def _active(scenario: Scenario, stage: Stage) -> Found:
    """Every fault is confirmed, its cause stands, and the expected alerts fire in time."""
    environment = stage.environment
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
    return Found(f"{len(scenario.expected_alerts)} expected alerts")


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


async def _remedied(scenario: Scenario, stage: Stage, steps: Sequence[Step]) -> Found:
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
    return Found(f"all clear after {verdict.settled_after_s:.0f} s")


async def _undone(scenario: Scenario, stage: Stage) -> Found:
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
    return Found()


async def _answered(scenario: Scenario, run_answer: RunAnswer) -> Check:
    """The agent that knows the answer: recall and precision 1, and an all-clear verdict."""
    try:
        record = await run_answer(scenario)
    except (HarnessError, ClusterError) as error:
        return Check("answer", False, f"could not be played: {error}")
    wrong: list[str] = []
    if record.status != "scored" or record.score is None or record.verdict is None:
        wrong.append(f"{record.status}: {record.reason}: {record.detail}")
    else:
        named = [f"{match.entity} ({match.rule})" for match in record.score.matches]
        if (record.score.recall, record.score.precision) != (1.0, 1.0):
            ratios = f"recall {record.score.recall:.2f}, precision {record.score.precision:.2f}"
            wrong.append(f"{ratios} for {', '.join(named) or 'nothing named'}")
        if not record.verdict.all_clear:
            left = (
                *record.verdict.remaining_alerts,
                *record.verdict.remaining_causes,
                *record.verdict.damage,
            )
            wrong.append(f"not all clear: {'; '.join(left)}")
    return Check("answer", not wrong, "; ".join(wrong))


async def _caught(scenario: Scenario, stage: Stage, act: Act, right: bool) -> Found:
    """The act must not be all clear; tells what caught it. `right`: it must be, since nothing is broken."""
    environment = stage.environment
    await _missing_alerts(scenario.expected_alerts, environment)
    await environment.run(lambda: act(scenario, environment))
    verdict = await environment.verdict()
    if verdict.all_clear != right:
        left = "; ".join((*verdict.remaining_alerts, *verdict.remaining_causes, *verdict.damage))
        raise CheckFailedError(f"not all clear: {left}" if right else "the verdict is all clear")
    caught = {
        "symptom": not verdict.symptom_cleared,
        "cause": not verdict.cause_removed,
        "damage": verdict.collateral_damage,
    }
    parts = tuple(part for part, holds in caught.items() if holds)
    return Found(", ".join(parts) or "the right answer", parts)
