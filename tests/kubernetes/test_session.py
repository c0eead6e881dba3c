"""A run on a live cluster: what is refused, cleaned before and after, and claimed; played on the simulated one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from harness import cli, experiment
from harness.cluster import ClusterError
from harness.config import EnvironmentConfig, ExecutorConfig, ExperimentConfig
from harness.environments import environment_session
from harness.environments.kubernetes import session
from harness.environments.kubernetes.deployment import frame
from harness.environments.kubernetes.janitor import owned
from harness.environments.kubernetes.marks import Marks
from harness.environments.simulated.cluster import SimulatedCluster
from harness.environments.simulated.world import World
from harness.errors import ConfigurationError
from harness.executors.claims import claims_of, local_lanes
from harness.live_config import AttachedConfig, KubernetesConfig
from tests.simulated.cluster_fixtures import FakeRuntime


class Served(SimulatedCluster):
    """A simulated API server without anything but plain Kubernetes."""

    def serves(self, kind: str) -> bool:
        return False


def config(*scenarios: int, **cluster: Any) -> ExperimentConfig:
    settings = KubernetesConfig(**cluster)
    kind = "attached" if settings.attached else "kubernetes"
    return ExperimentConfig(
        name="live",
        question="Does it clean up?",
        scenario=scenarios or (30,),
        environment=EnvironmentConfig(kind=kind, kubernetes=settings),
        agents={"react": {"kind": "react"}},
        models={"sim": {"kind": "simulated"}},
        arms={"baseline": ()},
        executor=ExecutorConfig(kind="local", in_flight=16),
    )


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Served:
    world = World(1, FakeRuntime())
    served = Served(world)
    monkeypatch.setattr(session, "harness_cluster", lambda settings: (None, served))
    return served


def leave(cluster: Served, run: str, trial: str, expires: float) -> str:
    marks = Marks(run, trial, expires)
    cluster.apply(frame(f"app-{trial}", {}, marks, 60)[0])
    return f"app-{trial}"


def names(cluster: Served) -> list[str]:
    return [one["metadata"]["name"] for one in owned(cluster)]


def test_what_cannot_be_played_is_refused_before_anything_runs(cluster: Served) -> None:
    with pytest.raises(ConfigurationError) as refused, environment_session(config(30, 17, 39)):
        pytest.fail("must not run")
    assert {problem.where for problem in refused.value.problems} == {"scenario 17", "scenario 39"}


def test_it_cleans_before_and_after(cluster: Served) -> None:
    mine = session.run_name(config())
    leave(cluster, mine, "killed", time.time() + 600)
    leave(cluster, "somebody", "old", time.time() - 1)
    stays = leave(cluster, "somebody", "new", time.time() + 600)
    with environment_session(config()) as live:
        assert live.config.environment.kubernetes is not None
        assert live.config.environment.kubernetes.run_name == mine
        assert names(cluster) == [stays]
        leave(cluster, mine, "late", time.time() + 600)
    assert names(cluster) == [stays]
    assert live.left == []


def test_it_cleans_after_a_failure_too(cluster: Served) -> None:
    def broken_off() -> None:
        with environment_session(config()):
            leave(cluster, session.run_name(config()), "late", time.time() + 600)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken_off()
    assert names(cluster) == []


def test_what_it_cannot_remove_becomes_an_exit_code(
    cluster: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with environment_session(config()) as live:
        leave(cluster, session.run_name(config()), "late", time.time() + 600)

        def broken(*_: Any) -> None:
            raise ClusterError("the API server is gone")

        monkeypatch.setattr(cluster, "delete", broken)
        monkeypatch.setattr("harness.environments.kubernetes.janitor.WAIT_S", 0.0)
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setattr("time.monotonic", iter(range(0, 10**9, 1000)).__next__)
    assert live.left
    assert "the API server is gone" in live.left[0]
    outcome = experiment.Outcome(run_dir=Path("x"), results={}, unaccounted=0, left=live.left)
    monkeypatch.setattr(experiment, "run_experiment", lambda _: outcome)
    monkeypatch.setattr("harness.report.print_contrasts", lambda _: None)
    assert cli.experiment(config().model_dump()) == cli.FAILED
    assert "the API server is gone" in capsys.readouterr().err


def test_no_cluster_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(ConfigurationError, match="kubeconfig"),
        environment_session(config(kubeconfig="/absent")),
    ):
        pytest.fail("must not run")


class TestClaims:
    @pytest.mark.parametrize("trials", [1, 3, 4, 7, 16])
    def test_as_many_trials_as_configured_fit(self, trials: int) -> None:
        assert local_lanes(config(max_trials=trials)) == trials

    def test_the_resource_stands_for_the_cluster(self) -> None:
        assert claims_of(config(resource="staging", max_trials=4)) == {"staging": 0.25}

    def test_an_existing_application_is_claimed_whole(self) -> None:
        attached = AttachedConfig(prometheus="http://localhost:9090")
        assert claims_of(config(attached=attached)) == {"kubernetes": 1.0}


def test_where_it_runs_does_not_change_what_it_is() -> None:
    assert config().digest() == config(kubeconfig="elsewhere", max_trials=2, ttl_s=900).digest()
    assert config().digest() != config(time_scale=0.5).digest()
