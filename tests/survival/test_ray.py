"""On a cluster of three nodes: workers, a node, a raylet and the driver die, and nothing is lost or done twice."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.experiment import build_plan
from tests.survival.ray_cluster import Elsewhere, three_nodes
from tests.survival.runs import (
    ROOT,
    Story,
    config_of,
    ended,
    give,
    kept,
    raw_config,
    records_of,
    require_survival,
    running,
    story,
)

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Ray does not wait for processes of nodes that died, or did not come up."""
TOKEN = "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def nodes() -> Iterator[Elsewhere]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_AUTH_MODE", "token")
        patched.setenv("RAY_AUTH_TOKEN", TOKEN)
        with three_nodes() as cluster:
            yield cluster


@pytest.fixture
def cluster(nodes: Elsewhere) -> Elsewhere:
    nodes.do("replace_lost")
    return nodes


@pytest.fixture(scope="module")
def quiet(quiet_run: Path) -> Story:
    return story({"run_dir": str(quiet_run)})


@pytest.fixture
def raw(cluster: Elsewhere, tmp_path: Path) -> dict[str, Any]:
    executor = {
        "kind": "ray",
        "address": cluster.address,
        "workers": 3,
        "in_flight": 2,
        "modules": [str(ROOT / "tests")],
    }
    raw = raw_config(tmp_path / "run", executor=executor)
    raw["models"]["slow"]["call_s"] = 0.2
    return raw


def test_another_token_is_refused_with_a_hint(raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    refused = give(raw)
    assert refused.code == 2
    assert "RAY_AUTH_MODE" in refused.said


@pytest.mark.parametrize("kill", ["kill_worker", "kill_node", "kill_raylet"])
def test_what_ran_on_the_dead_runs_elsewhere(
    kill: str, cluster: Elsewhere, raw: dict[str, Any], quiet: Story
) -> None:
    with running(raw, workers=3) as child:
        cluster.do(kill)
        done = ended(child)
    assert done.code == 0, done.said
    assert story(raw) == quiet
    records = records_of(raw)
    assert done.executed == Counter({name: record.attempts for name, record in records.items()})
    lost = [record for record in records.values() if record.attempts > 1]
    # A worker may outlive its raylet long enough to finish; without its own process nothing finishes.
    assert lost or kill == "kill_raylet", "nothing was in flight on it"
    assert {attempt.reason for record in lost for attempt in record.earlier} <= {"infra_worker_lost"}


def test_the_driver_is_killed(raw: dict[str, Any], quiet: Story) -> None:
    with running(raw, records=2) as child:
        child.kill()
        assert ended(child).code == -signal.SIGKILL
    survived = kept(raw)
    require_survival(raw, survived, give(raw), quiet)


def test_a_trial_that_kills_its_workers_is_quarantined_and_the_others_are_innocent(
    raw: dict[str, Any], quiet: Story
) -> None:
    victim = next(spec for spec in build_plan(config_of(raw)).trials if spec.repeat == 1)
    raw["models"]["slow"] |= {"deadly_seeds": [victim.seed], "call_s": 0.0}
    raw["arms"] = {"baseline": []}
    done = give(raw)
    assert victim.trial_id in done.said, "it is listed"
    records = records_of(raw)
    poisoned = records.pop(victim.trial_id)
    assert (poisoned.status, poisoned.reason) == ("excluded", "infra_worker_lost")
    assert records.keys() == {name for name in quiet.records if ".baseline." in name} - {victim.trial_id}
    told = story(raw).records
    assert all(told[name] == quiet.records[name] for name in records)
