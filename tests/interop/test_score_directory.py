"""`score` on directories in the official layout: its folder rules, and right numbers on a hand-made set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli import run
from harness.errors import ConfigurationError
from harness.interop.agent_output import parse_output
from harness.interop.evaluator_outputs import incident_of, read_outputs
from harness.interop.ground_truths import canonical, read_ground_truths
from tests.interop.handmade import TRUTHS, diagnosis, write_output, write_truths

POD = "otel-demo/Pod/email-6f9c8d7b5d-x2x4z"


def scored(tmp_path: Path, *options: str) -> Any:
    """Run the verb on tmp_path/out and tmp_path/gt; the JSON that it wrote."""
    result = tmp_path / "result.json"
    paths = [str(tmp_path / "out"), "--ground-truth", str(tmp_path / "gt"), "--json", str(result)]
    assert run(["score", *paths, *options]) == 0
    return json.loads(result.read_text())


def metric(result: Any, incident: int, name: str) -> float:
    return result["statistics"]["per_incident"][str(incident)]["metrics"][name]["mean"]


@pytest.fixture
def handmade(tmp_path: Path) -> Path:
    write_truths(tmp_path / "gt")
    out = tmp_path / "out"
    chain = (("otel-demo/Deployment/shipping", "otel-demo/Service/frontend"),)
    write_output(out, "Scenario-16/1/agent_output.json", diagnosis("otel-demo/Service/shipping", chain=chain))
    write_output(out, "Scenario-16/2/agent_output.json", '{"entities": [')
    write_output(out, "incident_20/1/agent_output.json", diagnosis("otel-demo/Deployment/product-catalog"))
    write_output(out, "incident_20/2/agent_output.json", diagnosis("otel-demo/Deployment/product"))
    write_output(out, "31/1/agent_output.json", diagnosis("otel-demo/Service/frontend-proxy"))
    write_output(
        out,
        "31/2/agent_output.json",
        diagnosis("otel-demo/Service/frontend-proxy", "otel-demo/Service/frontend"),
    )
    child = diagnosis("chaos-mesh/NetworkChaos/checkout-payment-network-loss-x7k2p")
    write_output(out, "SCENARIO-61/1/outputs/agent_output.json", child)
    write_output(out, "SCENARIO-61/2/agent_response.json", diagnosis("chaos-mesh/Schedule/other"))
    write_output(
        out, "38/1/agent_output.json", diagnosis("otel-demo/HPA/ad-hpa", others=("_/ResourceQuota/memory",))
    )
    write_output(out, "38/2/agent_output.json", diagnosis("otel-demo/HPA/ad-hpa", "otel-demo/quota/memory"))
    write_output(out, "45/2/agent_output.json", f"Here it is:\n```json\n{json.dumps(diagnosis(POD))}\n```\n")
    return tmp_path


@pytest.mark.parametrize(
    ("incident", "recall", "precision"),
    [
        (16, 1 / 2, 1 / 2),  # an alias finds the root; broken JSON is a zero
        (20, 1 / 2, 1 / 2),  # the prefix filter takes the bare Deployment, and no shorter name
        (31, 1 / 2, 1 / 4),  # frontend-proxy is not frontend
        (61, 1 / 2, 1 / 2),  # the child of a Schedule finds it
        (38, 3 / 4, 1.0),  # a bad regex is read as a glob; a non-factor is no prediction
        (45, 1 / 2, 1 / 2),  # a pod's hash does not matter; trial 1 is missing
    ],
)
def test_the_handmade_set_has_its_known_answers(
    handmade: Path, incident: int, recall: float, precision: float
) -> None:
    result = scored(handmade)
    assert metric(result, incident, "root_cause_entity_recall") == pytest.approx(recall)
    assert metric(result, incident, "root_cause_entity_precision") == pytest.approx(precision)


def test_overall_is_the_mean_over_incidents_with_an_interval_and_the_zeros_have_reasons(
    handmade: Path,
) -> None:
    statistics = scored(handmade)["statistics"]
    recall = statistics["overall"]["root_cause_entity_recall"]
    assert recall["mean"] == pytest.approx((5 * 0.5 + 0.75) / 6)
    assert recall["low"] < recall["mean"] < recall["high"]
    assert recall["pass@1"] == pytest.approx(6 / 12)
    counts = statistics["denominators"]
    assert (counts["incidents"], counts["trials"], counts["read"], counts["counted_as_zero"]) == (
        6,
        12,
        10,
        2,
    )
    assert {code: entry["trials"] for code, entry in counts["reasons"].items()} == {
        "invalid_json": 1,
        "no_output": 1,
    }


def test_full_recall_metrics_and_chains_reach_the_result(handmade: Path) -> None:
    result = scored(handmade)
    assert metric(result, 31, "precision_at_full_recall") == pytest.approx(1 / 4)
    assert metric(result, 31, "root_cause_entity_k@1_recall") == 0
    assert metric(result, 16, "propagation_chain_f1") == pytest.approx(1 / 2)
    assert metric(result, 16, "fault_localization_component_identification") == pytest.approx(1 / 2)
    assert metric(result, 20, "propagation_chain_f1") is None


def test_an_incident_that_nobody_answered_counts_as_zero_unless_asked_otherwise(handmade: Path) -> None:
    for file in (handmade / "out" / "45").rglob("*.json"):
        file.unlink()
    (handmade / "out" / "45" / "2").rmdir()
    (handmade / "out" / "45").rmdir()
    assert metric(scored(handmade), 45, "root_cause_entity_recall") == 0
    assert "45" not in scored(handmade, "--only-present")["statistics"]["per_incident"]


def test_owed_trials_can_be_said(handmade: Path) -> None:
    assert metric(scored(handmade, "--trials", "4"), 20, "root_cause_entity_recall") == pytest.approx(1 / 4)


def test_the_terminal_names_what_was_passed_over(handmade: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (handmade / "out" / "notes").mkdir()
    (handmade / "out" / "31" / "old").mkdir()
    scored(handmade)
    shown = capsys.readouterr().out
    assert "12 trials of 6 incidents: 10 read, 2 counted as zero." in shown
    assert "precision_at_full_recall" in shown
    assert "notes: is no incident of the ground truth" in shown
    assert "its name is not all digits" in shown


def test_a_wrong_directory_is_an_error_with_exit_code_2(
    handmade: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truths = ["--ground-truth", str(handmade / "gt")]
    assert run(["score", str(handmade / "absent"), *truths]) == 2
    assert run(["score", str(handmade / "gt" / "Scenario-16"), *truths]) == 2
    assert run(["score", str(handmade / "out"), "--ground-truth", str(handmade / "absent")]) == 2
    assert capsys.readouterr().err.count("error:") == 3


# --- the rules of the directory


@pytest.mark.parametrize(
    "folder",
    ["16", "Scenario-16", "scenario-i16", "SCENARIO_16", "scenario16", "incident-16", "Incident_16"],
)
def test_the_official_folder_names_mean_an_incident(folder: str) -> None:
    assert incident_of(folder, ["1", "6", "16"]) == "16"


@pytest.mark.parametrize("folder", ["160", "x16", "incident16", "16-old", "scenario--16"])
def test_other_folder_names_mean_none(folder: str) -> None:
    assert incident_of(folder, ["1", "6", "16"]) is None


def test_the_first_existing_file_counts(tmp_path: Path) -> None:
    for place, name in (("outputs/agent_response.json", "right"), ("agent_output.json", "wrong")):
        write_output(tmp_path, f"16/1/{place}", diagnosis(f"ns/Pod/{name}"))
    (output,), _ = read_outputs(tmp_path, ["16"])
    assert output.diagnosis is not None
    assert output.diagnosis.entities[0].name == "ns/Pod/right"


def test_two_folders_of_one_incident_are_not_mixed(tmp_path: Path) -> None:
    write_output(tmp_path, "16/1/agent_output.json", diagnosis("ns/Pod/a"))
    write_output(tmp_path, "Scenario-16/1/agent_output.json", diagnosis("ns/Pod/b"))
    outputs, (problem,) = read_outputs(tmp_path, ["16"])
    assert len(outputs) == 1
    assert "means incident 16 again" in problem.what


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid_json"),
        ("I could not find out.", "invalid_json"),
        ("[1, 2]", "schema_violation"),
        ('{"entities": "none"}', "schema_violation"),
        ('{"entities": [' * 100_000, "invalid_json"),
    ],
)
def test_an_unreadable_output_has_a_reason(text: str, reason: str) -> None:
    output = parse_output(text)
    assert (output.diagnosis, output.reason) == (None, reason)
    assert output.detail


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(diagnosis(POD)),
        json.dumps(json.dumps(diagnosis(POD))),
        json.dumps(f"```json\n{json.dumps(diagnosis(POD))}\n```"),
        f"My answer:\n```\n{json.dumps(diagnosis(POD))}\n```",
        json.dumps(diagnosis(POD)).replace("}]", "},]"),
        json.dumps({"entities": [{"id": POD, "root_cause": True}]}),
        json.dumps({"entities": [{"name": POD, "contributing_factor": "true"}, {"reasoning": "nameless"}]}),
    ],
)
def test_the_forms_that_agents_write_are_read(text: str) -> None:
    output = parse_output(text)
    assert output.diagnosis is not None
    (entity,) = output.diagnosis.entities
    assert (entity.name, entity.contributing_factor) == (POD, True)


# --- ground truths


def test_ground_truths_come_from_a_list_a_consolidated_file_and_an_index(tmp_path: Path) -> None:
    documents = [{"id": f"Scenario-{number}", **TRUTHS[number]} for number in (16, 20)]
    (tmp_path / "list.json").write_text(json.dumps(documents))
    (tmp_path / "ground_truths.json").write_text(json.dumps(documents))
    rows = [
        {"scenario_id": f"Scenario-{number}", "ground_truth_yaml": json.dumps(TRUTHS[number])}
        for number in (16, 20)
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read = [read_ground_truths(path) for path in (tmp_path / "list.json", tmp_path, tmp_path / "data.jsonl")]
    assert [list(truths) for truths, _ in read] == [["16", "20"]] * 3
    assert read[0][0] == read[1][0] == read[2][0]


def test_a_ground_truth_without_root_is_reported_and_not_scored(tmp_path: Path) -> None:
    write_truths(tmp_path)
    rootless = {"groups": [group | {"root_cause": False} for group in TRUTHS[20]["groups"]]}
    (tmp_path / "Scenario-20" / "gt.json").write_text(json.dumps(rootless))
    (tmp_path / "Scenario-45" / "ground_truth.yaml").write_text("groups: [")
    truths, problems = read_ground_truths(tmp_path)
    assert list(truths) == ["16", "31", "38", "61"]
    assert ["no root group" in problem.what or "cannot be read" in problem.what for problem in problems] == [
        True
    ] * 2


def test_no_usable_ground_truth_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="expected a ground truth"):
        read_ground_truths(tmp_path / "gt.json")


@pytest.mark.parametrize(
    ("name", "number"), [("Scenario-12", "12"), ("012", "12"), ("scenario-i7", "7"), ("x", "x")]
)
def test_incidents_are_known_by_their_number(name: str, number: str) -> None:
    assert canonical(name) == number
