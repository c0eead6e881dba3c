"""Importing a checkout of ITBench: what is usable becomes scenario files, and the rest is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import run
from harness.errors import Problem
from scenarios.importing import Imported, import_checkout
from scenarios.itbench_checkout import Checkout
from scenarios.loader import catalogue, load_scenario
from scenarios.solutions import translate
from tests.scenarios.itbench_tree import COMMIT, write_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path / "ITBench")


def imported(checkout: Path) -> dict[int, Imported]:
    return {one.id: one for one in import_checkout(checkout, catalogue())}


def said(problems: list[Problem]) -> str:
    return "\n".join(map(str, problems))


def test_a_sound_scenario_becomes_a_file_that_loads_and_scores(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scenarios", "import", str(checkout), "--to", str(tmp_path / "out")]) == 0
    assert "5 scenarios: 3 usable" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["016.yaml", "018.yaml", "020.yaml"]
    scenario = load_scenario(tmp_path / "out" / "016.yaml")
    assert scenario.key == f"live/{COMMIT[:7]}/16"
    assert scenario.application == "otel-demo"
    assert list(scenario.injections()) == list(catalogue().get(16).injections())
    assert [root.id for root in scenario.ground_truth.roots] == ["shipping-deployment-1"]
    assert scenario.solutions[0][0].steps[0].tool == "rollout_undo"
    assert len(scenario.solutions[0]) == 1


def test_what_could_not_be_used_is_said_with_its_reason(checkout: Path) -> None:
    found = imported(checkout)
    assert "no tool does 'kubectl -n otel-demo edit deployment shipping'" in said(found[16].problems)
    assert found[63].scenario is None
    assert "expected a known fault" in said(found[63].problems)
    assert found[7].scenario is None
    assert "7.json: cannot be read" in said(found[7].problems)
    assert "scenario.yaml is what runs" in said(found[18].problems)


def test_version_2_is_used_where_there_is_no_version_1(checkout: Path) -> None:
    found = imported(checkout)[20]
    assert (found.shape, found.scenario is not None) == ("v2", True)
    assert found.scenario is not None
    assert found.scenario.conflict.kind == "N"
    assert found.scenario.alerts == ("KubePodNotReady",)
    assert [root.kind for root in found.scenario.ground_truth.roots] == ["Deployment"]


def test_a_defective_ground_truth_is_repaired_and_reported(checkout: Path) -> None:
    found = imported(checkout)[18]
    assert found.scenario is not None
    truth = found.scenario.ground_truth
    assert [group.id for group in truth.groups] == ["one", "two", "two#2"]
    assert ("two", "two#2") in truth.aliases
    assert [(edge.source, edge.target) for edge in truth.propagations] == [("one", "two")]
    assert truth.alerts[0].group == ""
    assert {finding.code for finding in found.findings} >= {
        *("uncompilable-filter", "dangling-id", "duplicate-id")
    }


def test_the_drift_report_names_the_fields_that_differ(checkout: Path) -> None:
    found = imported(checkout)
    differing = {problem.where for problem in found[16].drift}
    assert "ground_truth.groups" in differing
    assert "disruptions" not in differing
    assert "application" not in differing


def test_a_scenario_that_was_exported_unchanged_does_not_drift() -> None:
    from scenarios.importing import drift

    scenario = catalogue().get(16)
    assert drift(scenario, scenario) == []
    other = scenario.model_copy(update={"complexity": "high"})
    (problem,) = drift(scenario, other)
    assert (problem.where, problem.what) == ("complexity", "built-in medium; checkout high")


def test_existing_files_are_not_overwritten(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "016.yaml").write_text("mine")
    assert run(["scenarios", "import", str(checkout), "--to", str(tmp_path)]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert (tmp_path / "016.yaml").read_text() == "mine"
    assert not (tmp_path / "020.yaml").exists()


def test_a_directory_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scenarios", "import", str(tmp_path)]) == 2
    assert "name the root of a checkout" in capsys.readouterr().err


def test_the_commit_is_found_detached_and_packed_too(checkout: Path) -> None:
    assert Checkout(checkout).version() == COMMIT[:7]
    (checkout / ".git" / "refs" / "heads" / "main").unlink()
    assert Checkout(checkout).version() == "unknown"
    (checkout / ".git" / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert Checkout(checkout).version() == COMMIT[:7]
    (checkout / ".git" / "HEAD").write_text(COMMIT)
    assert Checkout(checkout).version() == COMMIT[:7]


@pytest.mark.parametrize(
    ("command", "tool", "args"),
    [
        ("kubectl -n a rollout undo deployment/x", "rollout_undo", {"name": "x", "namespace": "a"}),
        ("kubectl rollout restart deployment -n a", "rollout_restart", {"namespace": "a"}),
        (
            "kubectl --namespace a rollout restart deployment/x",
            "rollout_restart",
            {"name": "x", "namespace": "a"},
        ),
        (
            "kubectl -n a scale --replicas=1 deploy/x",
            "scale_workload",
            {"kind": "Deployment", "name": "x", "namespace": "a", "replicas": 1},
        ),
        (
            "kubectl --namespace=a delete resourcequota memory",
            "delete_object",
            {"kind": "ResourceQuota", "name": "memory", "namespace": "a"},
        ),
    ],
)
def test_commands_that_have_a_tool_are_translated(command: str, tool: str, args: dict[str, object]) -> None:
    problems: list[Problem] = []
    ((alternative,),) = translate([[{"steps": [{"command": command, "text": "do"}]}]], problems)
    assert alternative["steps"] == [{"tool": tool, "args": args}]
    assert not problems


@pytest.mark.parametrize(
    "command",
    ["kubectl edit cm x", "kubectl -n <ns> delete secret x", "helm rollback x", "kubectl 'torn", ""],
)
def test_a_group_without_a_usable_alternative_makes_the_solution_unusable(command: str) -> None:
    problems: list[Problem] = []
    good = {"steps": [{"command": "kubectl -n a rollout undo deployment/x"}]}
    assert translate([[good], [{"steps": [{"command": command}]}]], problems) == []
    assert "no alternative can be taken with tools" in problems[-1].what


# --- the lint verb


def test_lint_reads_the_catalogue_scenario_files_and_ground_truths(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["scenarios", "lint"]) == 0
    assert "20: class B suggested, declared B" in capsys.readouterr().out
    assert run(["scenarios", "lint", str(checkout)]) == 0
    shown = capsys.readouterr().out
    assert "4 ground truths, 4 with findings" in shown
    assert "uncompilable-filter" in shown
    assert "no-version-1" in shown
    assert run(["scenarios", "import", str(checkout), "--to", str(tmp_path / "out")]) == 0
    assert run(["scenarios", "lint", "--strict", str(tmp_path / "out" / "020.yaml")]) == 0
    assert run(["scenarios", "lint", "--strict", str(checkout)]) == 1


def test_lint_reports_a_scenario_file_that_does_not_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "016.yaml").write_text("universe: live\nground_truth: {groups: []}\n")
    (tmp_path / "torn.yaml").write_text("a: [")
    assert run(["scenarios", "lint", str(tmp_path), "--strict"]) == 1
    shown = capsys.readouterr().out
    assert "is missing; expected this field" in shown
    assert "cannot be read" in shown


def test_a_path_with_nothing_to_lint_is_an_error(tmp_path: Path) -> None:
    assert run(["scenarios", "lint", str(tmp_path)]) == 2
    assert run(["scenarios", "lint", str(tmp_path / "absent")]) == 2
