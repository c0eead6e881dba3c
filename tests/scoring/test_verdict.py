"""The three-part verdict: what counts as cleared, as removed, and as damage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from harness.cluster import Manifest, rollout_restart, scale
from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.records import Verdict
from harness.scoring.collateral import damage, differences
from harness.scoring.verdict import Baseline, VerdictPolicy, decide
from harness.telemetry import Alert, CallPath
from scenarios.loader import catalogue

T = TypeVar("T")
NS = "otel-demo"


async def incident(scenario_id: int = 16) -> SimulatedEnvironment:
    environment = SimulatedEnvironment(EnvironmentConfig(), VerdictConfig())
    await environment.start(catalogue().get(scenario_id), 3)
    return environment


def after(*acts: Callable[[SimulatedEnvironment], object], scenario_id: int = 16) -> Verdict:
    """The verdict after these acts on an incident."""

    async def play() -> Verdict:
        environment = await incident(scenario_id)
        for act in acts:
            act(environment)
        return await environment.verdict()

    return asyncio.run(play())


def repair(environment: SimulatedEnvironment) -> None:
    variable = {"name": "QUOTE_ADDR", "value": "http://quote:8080"}
    container = {"containers": [{"name": "shipping", "env": [variable]}]}
    environment.cluster.patch("Deployment", "shipping", NS, {"spec": {"template": {"spec": container}}})


# --- the whole verdict on the simulated cluster


def test_the_repaired_incident_is_all_clear() -> None:
    verdict = after(repair)
    assert verdict.all_clear, verdict
    assert verdict.settled_after_s is not None
    assert verdict.settled_after_s > 0


def test_doing_nothing_leaves_symptom_and_cause_but_harms_nothing() -> None:
    verdict = after()
    assert not verdict.symptom_cleared
    assert not verdict.cause_removed
    assert not verdict.collateral_damage
    assert any("HighRequestErrorRate@checkout" in alert for alert in verdict.remaining_alerts)
    assert any("otel-demo/Deployment/shipping" in cause for cause in verdict.remaining_causes)
    assert verdict.settled_after_s is None


@pytest.mark.parametrize("scenario_id", [12, 24, 46])
def test_what_the_fault_itself_degrades_is_no_collateral_damage(scenario_id: int) -> None:
    assert not after(scenario_id=scenario_id).collateral_damage


def test_restarting_everything_is_no_damage_and_no_cure() -> None:
    def restart(environment: SimulatedEnvironment) -> None:
        for deployment in environment.cluster.list("Deployment", NS):
            rollout_restart(environment.cluster, "Deployment", deployment["metadata"]["name"], NS)

    verdict = after(restart)
    assert (verdict.symptom_cleared, verdict.cause_removed, verdict.collateral_damage) == (
        False,
        False,
        False,
    )


@pytest.mark.parametrize(
    "silence",
    [
        lambda environment: environment.cluster.delete("Deployment", "frontend", NS),
        lambda environment: scale(environment.cluster, "Deployment", "load-generator", NS, replicas=0),
        lambda environment: environment.cluster.delete("Service", "frontend-proxy", NS),
    ],
    ids=["users cannot come in", "no users", "no way in"],
)
def test_an_alert_that_ends_because_nobody_is_served_has_not_cleared(
    silence: Callable[[SimulatedEnvironment], object],
) -> None:
    verdict = after(silence)
    assert not verdict.symptom_cleared
    assert not verdict.cause_removed
    assert verdict.collateral_damage


def test_silencing_the_telemetry_does_not_clear_the_symptom() -> None:
    verdict = after(
        lambda environment: scale(environment.cluster, "Deployment", "otel-collector", NS, replicas=0)
    )
    assert not verdict.symptom_cleared
    assert verdict.collateral_damage


def test_a_cure_with_side_effects_is_damage() -> None:
    verdict = after(
        repair, lambda environment: scale(environment.cluster, "Deployment", "quote", NS, replicas=3)
    )
    assert verdict.symptom_cleared
    assert verdict.cause_removed
    assert verdict.damage == ("otel-demo/Deployment/quote was changed: spec.replicas",)


# --- polling, against telemetry with a script


class Scripted:
    """An environment whose alerts and traffic follow a script; its cluster is a real one."""

    def __init__(self, inner: SimulatedEnvironment, script: Callable[[float], Sequence[Alert]]) -> None:
        self.cluster = inner.cluster
        self.script = script
        self.telemetry = self
        self.start_time = inner.now()
        self.served = {"frontend", "checkout"}
        self.fired: list[Alert] = []

    def now(self) -> float:
        return self.cluster.now()

    async def run(self, work: Callable[[], T]) -> T:
        return work()

    async def elapse(self, seconds: float) -> None:
        self.cluster.wait(seconds)

    def alerts(self) -> Sequence[Alert]:
        return self.script(self.now() - self.start_time)

    def alert_history(
        self, start: float | None = None, end: float | None = None
    ) -> list[tuple[float, Alert]]:
        return [(self.start_time, alert) for alert in self.fired]

    def call_paths(self, start: float | None = None, end: float | None = None) -> list[CallPath]:
        return [CallPath((service,), "op", 10, 0, 5) for service in sorted(self.served)]


def alert(service: str, state: str = "firing", name: str = "HighRequestErrorRate", **labels: str) -> Alert:
    named = {"service_name": service, "namespace": NS, **labels}
    return Alert(name, {key: value for key, value in named.items() if value}, state, 0.0)  # type: ignore[arg-type]


def decided(
    script: Callable[[float], Sequence[Alert]],
    background: Sequence[Alert] = (),
    fired: Sequence[Alert] = (),
    act: Callable[[Scripted], object] = lambda environment: None,
    policy: VerdictPolicy | None = None,
) -> Verdict:
    """The verdict on a repaired cluster whose alerts follow a script."""

    async def play() -> Verdict:
        environment = await incident()
        scripted = Scripted(environment, lambda seconds: background)
        baseline = Baseline.capture(scripted.cluster, scripted, [NS])  # type: ignore[arg-type]
        scripted.script, scripted.fired = script, list(fired)
        act(scripted)
        return await decide(scripted, baseline, (), policy or VerdictPolicy())  # type: ignore[arg-type]

    return asyncio.run(play())


def test_alerts_of_the_baseline_do_not_count() -> None:
    noise = alert("checkout")
    assert decided(lambda seconds: [noise], background=[noise]).symptom_cleared


def test_the_symptom_must_stay_away_for_consecutive_passes() -> None:
    flapping = decided(lambda seconds: [alert("checkout")] if seconds % 60 == 0 else [])
    assert not flapping.symptom_cleared
    steady = decided(lambda seconds: [alert("checkout")] if seconds < 100 else [])
    assert steady.symptom_cleared
    assert steady.settled_after_s == 120


def test_the_window_ends_the_wait() -> None:
    policy = VerdictPolicy(window_s=60, interval_s=20, passes=2)
    late = decided(lambda seconds: [alert("checkout")] if seconds < 50 else [], policy=policy)
    assert not late.symptom_cleared
    assert late.remaining_alerts == ()


def test_an_alert_of_the_incident_that_is_pending_again_has_not_cleared() -> None:
    fired = [alert("checkout")]
    verdict = decided(lambda seconds: [alert("checkout", "pending")], fired=fired)
    assert verdict.remaining_alerts == ("HighRequestErrorRate@checkout (pending again)",)
    other = decided(lambda seconds: [alert("frontend", "pending")], fired=fired)
    assert other.symptom_cleared


def test_an_alert_that_fires_only_during_the_window_counts() -> None:
    verdict = decided(lambda seconds: [alert("cart")] if seconds >= 570 else [alert("checkout")])
    assert "HighRequestErrorRate@cart" in verdict.remaining_alerts


def test_a_series_that_disappeared_has_not_cleared() -> None:
    def silent(environment: Scripted) -> None:
        environment.served.discard("checkout")

    verdict = decided(lambda seconds: [], fired=[alert("checkout", name="NoRequestsReceived")], act=silent)
    assert verdict.remaining_alerts == ("NoRequestsReceived@checkout (no requests are served any more)",)


@pytest.mark.parametrize(
    "labels",
    [{"service_name": "checkout"}, {"pod": "checkout-7d9c5f5b6d-x2x4z"}, {"deployment": "checkout"}],
)
@pytest.mark.parametrize("gone", [True, False])
def test_an_alert_about_a_workload_that_is_gone_has_not_cleared(labels: dict[str, str], gone: bool) -> None:
    def remove(environment: Scripted) -> None:
        if gone:
            environment.cluster.delete("Deployment", "checkout", NS)
        else:
            scale(environment.cluster, "Deployment", "checkout", NS, replicas=0)

    fired = [alert("", name="KubePodNotReady", **labels)]
    verdict = decided(lambda seconds: [], fired=fired, act=remove)
    assert not verdict.symptom_cleared
    assert "gone or scaled to zero" in verdict.remaining_alerts[0]
    assert decided(lambda seconds: [], fired=fired).symptom_cleared


@pytest.mark.parametrize("wrong", [{"passes": 0}, {"interval_s": 0}, {"window_s": -1}])
def test_an_impossible_policy_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        VerdictPolicy(**wrong)


# --- damage


def harmed(act: Callable[[SimulatedEnvironment], object]) -> list[str]:
    async def play() -> list[str]:
        environment = await incident()
        act(environment)
        environment.cluster.wait(120)
        return damage(
            environment.cluster, environment.baseline.condition, environment.injections, fault_stands=True
        )

    return asyncio.run(play())


def edit(kind: str, name: str, patch: Manifest) -> Callable[[SimulatedEnvironment], object]:
    return lambda environment: environment.cluster.patch(kind, name, NS if kind != "Node" else "", patch)


def delete(kind: str, name: str) -> Callable[[SimulatedEnvironment], object]:
    return lambda environment: environment.cluster.delete(kind, name, NS)


CART_IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "cart", "image": "x"}]}}}}


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (edit("Service", "cart", {"metadata": {"labels": {"team": "x"}}}), "cart was changed: metadata.labels.team"),
        (edit("ConfigMap", "flagd-config", {"data": {"extra": "1"}}), "flagd-config was changed: data.extra"),
        (edit("Deployment", "cart", CART_IMAGE), "cart was changed: spec.template.spec.containers.cart.image"),
        (edit("Deployment", "shipping", {"spec": {"replicas": 2}}), "shipping was changed: spec.replicas"),
        (delete("Deployment", "shipping"), "Deployment/shipping was deleted"),
        (delete("ConfigMap", "flagd-config"), "ConfigMap/flagd-config was deleted"),
    ],
)  # fmt: skip
def test_what_was_changed_beyond_the_fault_is_listed(
    act: Callable[[SimulatedEnvironment], object], says: str
) -> None:
    (found,) = harmed(act)
    assert says in found


def test_cordoning_a_node_is_damage() -> None:
    def cordon(environment: SimulatedEnvironment) -> None:
        node = environment.cluster.list("Node")[0]["metadata"]["name"]
        environment.cluster.patch("Node", node, "", {"spec": {"unschedulable": True}})

    (found,) = harmed(cordon)
    assert "was changed: spec.unschedulable" in found


@pytest.mark.parametrize(
    "act",
    [
        lambda environment: rollout_restart(environment.cluster, "Deployment", "cart", NS),
        lambda environment: environment.cluster.delete(
            "Pod", environment.cluster.list("Pod", NS)[0]["metadata"]["name"], NS
        ),
        edit("Deployment", "cart", {"metadata": {"annotations": {"kubernetes.io/change-cause": "me"}}}),
        lambda environment: environment.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "new", "namespace": NS},
                "data": {},
            }
        ),
        repair,
    ],
    ids=["restart", "delete a pod", "change cause", "something new", "the repair"],
)
def test_what_is_no_damage(act: Callable[[SimulatedEnvironment], object]) -> None:
    assert harmed(act) == []


def test_missing_replicas_are_damage_once_no_fault_explains_them() -> None:
    async def play() -> tuple[list[str], list[str]]:
        environment = await incident(24)
        cluster, before = environment.cluster, environment.baseline.condition
        cluster.wait(90)
        while cluster.get("Deployment", "checkout", NS)["status"].get("availableReplicas"):
            cluster.wait(5)
        stands = damage(cluster, before, environment.injections, fault_stands=True)
        return stands, damage(cluster, before, environment.injections)

    stands, explained = asyncio.run(play())
    assert stands == []
    assert explained == ["otel-demo/Deployment/checkout has 0 of 1 replicas available"]


def test_differences_open_json_texts_and_named_lists() -> None:
    old = {"data": {"flags": '{"a": {"v": 1}, "b": 2}'}, "env": [{"name": "x", "value": "1"}, {"name": "y"}]}
    new = {"data": {"flags": '{"a": {"v": 3}, "b": 2}'}, "env": [{"name": "y"}, {"name": "x", "value": "2"}]}
    assert list(differences(old, new)) == [("data", "flags", "a", "v"), ("env", "x", "value")]
