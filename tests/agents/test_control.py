"""Control agents do what their name says, only the answer ends all clear, and two clusters are compared by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.agents.control import CONDUCTS
from harness.config import ExecutorConfig, ExperimentConfig
from harness.errors import ConfigurationError
from harness.experiment import run_experiment
from harness.records import TrialRecord
from harness.report import fidelity
from harness.report.fidelity import compare, render, workload_of
from harness.store import RunDirectory


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenarios, each played by every control agent on the simulated cluster."""
    path = tmp_path_factory.mktemp("control") / "run"
    config = ExperimentConfig(
        name="control",
        question="Do control agents behave?",
        scenario=(20, 30),
        agents={name: {"kind": "control", "conduct": name} for name in CONDUCTS},
        models={"sim": {"kind": "simulated"}},
        arms={"baseline": ()},
        repeats=1,
        executor=ExecutorConfig(kind="local"),
        run_dir=str(path),
    )
    run_experiment(config)
    return path


def records(path: Path, agent: str) -> list[TrialRecord]:
    return [one for one in RunDirectory(path).records() if one.spec.agent == agent]


@pytest.mark.parametrize("conduct", CONDUCTS)
def test_only_the_answer_is_all_clear(run: Path, conduct: str) -> None:
    for record in records(run, conduct):
        assert record.status == "scored", record.detail
        assert record.verdict is not None
        assert record.verdict.all_clear == (conduct == "answer")


def test_the_answer_names_the_root_causes(run: Path) -> None:
    assert [one.score.recall for one in records(run, "answer") if one.score] == [1.0, 1.0]


def test_deleting_is_damage(run: Path) -> None:
    assert all(one.verdict and one.verdict.collateral_damage for one in records(run, "delete_workload"))


class TestFidelity:
    def test_a_run_agrees_with_itself(self, run: Path) -> None:
        rows = compare(run, run)
        assert [row.scenario for row in rows] == [20, 30]
        assert not any(row.differences for row in rows)
        assert "product-catalog ImagePullBackOff" in rows[0].both["pods"]
        assert "answer: all clear" in rows[0].both["outcomes"]

    def test_what_nobody_explained_is_called_so(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        known = fidelity.findings_of(run)
        changed = {**known, 20: {**known[20], "pods": {"product-catalog Lost"}}}
        monkeypatch.setattr(fidelity, "findings_of", lambda path: changed if path.name == "real" else known)
        text = render(compare(run, run.with_name("real")))
        assert "**Not explained.** product-catalog ImagePullBackOff (simulated)" in text
        assert "product-catalog Lost (real)" in text

    def test_nothing_in_common_is_refused(self, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fidelity, "findings_of", lambda path: {} if path.name == "real" else {20: {}})
        with pytest.raises(ConfigurationError, match="no scenario was played in both"):
            compare(run, run.with_name("real"))


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("ad-7d9ddc75c-pwc2j", "ad"),
        ("product-catalog-985c67dcf-zn5lt", "product-catalog"),
        ("frontend-proxy", "frontend-proxy"),
        ("checkout", "checkout"),
    ],
)
def test_pods_are_known_by_their_workload(pod: str, workload: str) -> None:
    assert workload_of(pod) == workload
