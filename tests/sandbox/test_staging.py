"""Evidence as files: complete, masked like the tools, and without the ground truth."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.config import EnvironmentConfig, VerdictConfig
from harness.environments import environment_factory
from harness.sandbox.staging import place, stage
from harness.tools.diff import REDACTED
from scenarios.loader import catalogue
from tests.experiment.test_seams import forbidden

FILES = {"alerts", "events", "objects", "changes", "metrics", "logs", "traces"}


def staged(folder: Path, scenario: int = 16, **knobs: Any) -> dict[str, list[dict[str, Any]]]:
    """Name -> rows of everything that is staged of a simulated incident."""
    config = EnvironmentConfig.model_validate(knobs)
    environment = environment_factory(config, VerdictConfig())()
    briefing = asyncio.run(environment.start(catalogue().get(scenario), seed=1))
    stage(environment, briefing.namespaces, folder)
    return {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }


def test_every_kind_of_evidence_has_a_file_that_says_something(tmp_path: Path) -> None:
    found = staged(tmp_path)
    assert set(found) == FILES
    assert all(found.values())
    assert {"Deployment", "Pod", "Service", "Node"} <= {each["kind"] for each in found["objects"]}
    assert any("shipping" in row["entity_id"] for row in found["changes"])
    assert {path.stem for path in tmp_path.iterdir()} == FILES | {"README", "topology"}
    told = (tmp_path / "README.txt").read_text()
    assert all(path.name in told for path in tmp_path.iterdir() if path.stem != "README")


@pytest.mark.parametrize("scenario", [2, 16, 27, 41])
def test_nothing_hidden_is_staged(tmp_path: Path, scenario: int) -> None:
    staged(tmp_path, scenario)
    text = "\n".join(path.read_text() for path in tmp_path.iterdir()).lower()
    assert not {word for word in forbidden(scenario) if word in text}


def test_masks_hold_for_files_too(tmp_path: Path) -> None:
    found = staged(tmp_path, telemetry={"traces": False, "logs": False}, permissions="app_only")
    assert (found["traces"], found["logs"]) == ([], [])
    assert not {"Secret", "Node", "PriorityClass"} & {each["kind"] for each in found["objects"]}


def test_secrets_are_redacted(tmp_path: Path) -> None:
    secrets = [each for each in staged(tmp_path, 34)["objects"] if each["kind"] == "Secret"]
    values = [
        value for each in secrets for part in ("data", "stringData") for value in each.get(part, {}).values()
    ]
    assert set(values) == {REDACTED}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A small recording whose files say which they are."""
    root = tmp_path / "root"
    folder = root / "Scenario-16"
    (folder / "alerts").mkdir(parents=True)
    (folder / "ground_truth.yaml").write_text("id: Scenario-16\ngroups: []\nthe-answer: shipping\n")
    (folder / "status.json").write_text('{"the-answer": 1}')
    (folder / "k8s_events_raw.tsv").write_text("events")
    (folder / "alerts" / "alerts.json").write_text("[]")
    return root


def recorded(root: Path) -> Any:
    """The environment of a recording, as after its start but without an index."""
    environment: Any = environment_factory(
        EnvironmentConfig(kind="snapshot", root=str(root)), VerdictConfig()
    )()
    environment._directory = root / "Scenario-16"
    return environment


def test_a_recording_is_staged_as_its_files_without_those_that_tell_the_answer(
    recording: Path, tmp_path: Path
) -> None:
    stage(recorded(recording), ["otel-demo"], tmp_path)
    shutil.rmtree(recording)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"k8s_events_raw.tsv", "alerts/alerts.json", "README.txt"}


def test_a_link_to_the_ground_truth_is_not_followed(recording: Path, tmp_path: Path) -> None:
    (recording / "Scenario-16" / "otel_logs_raw.tsv").symlink_to("ground_truth.yaml")
    (recording / "Scenario-16" / "k8s_objects_raw.tsv").symlink_to("status.json")
    target = tmp_path / "staged"
    target.mkdir()
    stage(recorded(recording), ["otel-demo"], target)
    assert "the-answer" not in "".join(path.read_text() for path in target.rglob("*") if path.is_file())


def test_a_file_that_only_its_owner_may_read_is_copied_for_the_container(tmp_path: Path) -> None:
    private, shared = tmp_path / "private", tmp_path / "shared"
    for file, mode in ((private, 0o600), (shared, 0o644)):
        file.write_text("evidence")
        file.chmod(mode)
        place(file, tmp_path / "staged" / file.name)
    copied = tmp_path / "staged" / "private"
    assert (copied.read_text(), copied.stat().st_mode & 0o777, copied.stat().st_nlink) == (
        "evidence",
        0o644,
        1,
    )
    assert private.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "staged" / "shared").stat().st_nlink == 2
