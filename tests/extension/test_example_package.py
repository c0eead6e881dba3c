"""The example package of docs/examples, installed and used from outside this repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.extension.install import ROOT, install_example


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example(tmp_path_factory.mktemp("extension"))


def harness(
    installed: Path, cwd: Path, *args: str, extra_path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(one) for one in (installed, extra_path, ROOT) if one)
    return subprocess.run(
        [sys.executable, "-m", "harness", *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_everything_that_the_package_adds_takes_part_in_an_experiment(
    installed: Path, tmp_path: Path
) -> None:
    done = harness(
        installed, tmp_path, "+experiment=read_before_write", "model=[sim_cascading,first_alert]",
        "interventions.read_before_write.most_refusals=2", "executor=local", "run_dir=run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "run" / "records.jsonl").read_text().splitlines()]
    assert len(records) == 8
    assert {record["status"] for record in records} <= {"scored", "failed"}
    assert {record["spec"]["scenario"] for record in records} == {"acme/1/1001"}
    assert {record["spec"]["agent"] for record in records} == {"briefed"}
    for record in records:
        assert "acme_apology" in {label["slug"] for label in record["labels"]}
    hashes = json.loads((tmp_path / "run" / "plan.json").read_text())["hashes"]
    assert hashes["package.acme-sre"] == "1.0.0"
    assert "intervention.read_before_write" in hashes
    modes = json.loads((tmp_path / "run" / "results.json").read_text())["arms"][0]["modes"]
    assert modes["acme_apology"] == 0.0


def test_the_added_scenario_is_what_it_says(installed: Path, tmp_path: Path) -> None:
    done = harness(installed, tmp_path, "scenarios", "validate", "1001", "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_added_scenario_stands_in_the_catalogue(installed: Path, tmp_path: Path) -> None:
    done = harness(installed, tmp_path, "scenarios", "list", "fault:retired-node-pool")
    assert "1001" in done.stdout


def test_a_name_that_is_taken_is_refused_with_the_package_that_takes_it(
    installed: Path, tmp_path: Path
) -> None:
    clash = tmp_path / "clash" / "clash-0.1.dist-info"
    clash.mkdir(parents=True)
    (clash / "METADATA").write_text("Metadata-Version: 2.1\nName: clash\nVersion: 0.1\n")
    (clash / "entry_points.txt").write_text("[sre_harness.guards]\nloop_guard = clash:Guard\n")
    done = harness(installed, tmp_path, "+experiment=smoke", "run_dir=run", extra_path=tmp_path / "clash")
    assert done.returncode == 2
    assert "package clash: entry point sre_harness.guards 'loop_guard' is taken" in done.stderr
    assert not (tmp_path / "run").exists()


def test_without_the_package_its_names_are_unknown(tmp_path: Path) -> None:
    done = harness(ROOT, tmp_path, "+experiment=smoke", "model=[first_alert]", "run_dir=run")
    assert done.returncode == 2
    assert "first_alert" in done.stderr
