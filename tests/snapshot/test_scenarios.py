"""Scenarios of a directory of snapshots: where they are found, how they are named, what cannot be scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from harness.environments.snapshot.catalogue import SnapshotCatalogue
from harness.errors import ConfigurationError

FLAT = {
    "groups": [
        {
            "id": "ad-1",
            "kind": "Deployment",
            "namespace": "otel-demo",
            "filter": ["ad\\b"],
            "root_cause": True,
        }
    ]
}
ENVELOPED = {"apiVersion": "itbench.io/v1", "kind": "GroundTruth", "spec": FLAT}


def scenario(root: Path, name: str, truth: object | None = FLAT) -> Path:
    directory = root / name
    (directory / "alerts").mkdir(parents=True)
    if truth is not None:
        (directory / "ground_truth.yaml").write_text(yaml.safe_dump(truth))
    return directory


def test_the_tree_of_itbench_lite_is_found_without_other_domains(tmp_path: Path) -> None:
    version = "v0.2-B96DF826-4BB2-4B62-97AB-6D84254C53D7"
    scenario(tmp_path, f"snapshots/sre/{version}/Scenario-2")
    scenario(tmp_path, f"snapshots/sre/{version}/Scenario-102", ENVELOPED)
    scenario(tmp_path, f"snapshots/finops/{version}/Scenario-37")
    found = SnapshotCatalogue(tmp_path)
    assert found.ids == (2, 102)
    assert [one.key for one in found.select("all")] == [f"lite/{version}/2", f"lite/{version}/102"]
    assert found.get(102).ground_truth.roots[0].id == "ad-1"
    assert [one.id for one in found.select([102, 2])] == [2, 102]


def test_itbench_aa_takes_missing_ground_truths_from_its_index(tmp_path: Path) -> None:
    scenario(tmp_path, "sre/Scenario-5", None)
    row = {"id_aa": "x", "scenario_id": "Scenario-5", "ground_truth_yaml": yaml.safe_dump(ENVELOPED)}
    (tmp_path / "sre" / "data.jsonl").write_text(json.dumps(row) + "\n")
    assert SnapshotCatalogue(tmp_path).get(5).key == "aa/sre/5"


def test_one_scenario_directory_is_a_root_too(tmp_path: Path) -> None:
    directory = scenario(tmp_path, "Scenario-3")
    assert SnapshotCatalogue(directory).get(3).key == "lite/unversioned/3"


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        (None, "no ground truth in its directory"),
        ({"groups": [{"id": "x", "kind": "Pod", "filter": ["x"]}]}, "no group has root_cause: true"),
    ],
)
def test_a_scenario_that_cannot_be_scored_says_why(tmp_path: Path, truth: object, told: str) -> None:
    scenario(tmp_path, "Scenario-4", truth)
    with pytest.raises(ConfigurationError, match=told):
        SnapshotCatalogue(tmp_path).select("all")


def test_a_root_without_scenarios_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no scenario in"):
        SnapshotCatalogue(tmp_path)
    with pytest.raises(ConfigurationError, match="is no directory"):
        SnapshotCatalogue(tmp_path / "nowhere")


def test_two_data_sets_under_one_root_are_refused(tmp_path: Path) -> None:
    scenario(tmp_path, "lite/Scenario-2")
    scenario(tmp_path, "aa/Scenario-2")
    with pytest.raises(ConfigurationError, match="occurs 2 times"):
        SnapshotCatalogue(tmp_path)
