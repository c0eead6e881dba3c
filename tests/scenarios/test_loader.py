"""Scenario files: the catalogue is complete, and whatever is wrong in a file is reported at once with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.cluster import ObjectRef
from harness.errors import ConfigurationError
from scenarios.faults import FAULTS, injected_objects
from scenarios.loader import CATALOGUE, Catalogue, catalogue, load_scenario

IDS = catalogue().ids

GOOD = (CATALOGUE / "016.yaml").read_text()


def problems_of(tmp_path: Path, text: str) -> dict[int, str]:
    """Line -> what is said about it."""
    path = tmp_path / "016.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_scenario(path)
    found: dict[int, str] = {}
    for problem in caught.value.problems:
        line = re.match(rf"{re.escape(str(path))}:(\d+)", problem.where)
        assert line is not None, problem
        said = str(problem).removeprefix(f"{path}:{line[1]} ")
        found[int(line[1])] = f"{found.get(int(line[1]), '')}{said}\n"
    return found


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


# --- the catalogue


CLASSES = {
    "none": {2, 3, 4, 5, 6, 7, 8, 11, 16, 24, 30, 36, 45, 53, 114},
    "C": {10, 12, 13, 14, 15, 44, 46, 48, 61},
    "B": {17, 18, 20, 21, 22, 23, 25, 26, 27, 34, 35, 40, 41, 43, 50, 81, 105},
    "N": {51, 54, 55, 56, 57, 60},
    "A": {1, 19, 29, 31, 33, 37, 38, 39, 42, 47, 49, 52, 58, 59, 62, 63, 80, 83, 91, 102},
}
"""The classes of known conflicts (docs/sources I1.9)."""
NATIVE = (
    *range(1, 9), *range(10, 17), 20, 23, 24, 30, 31, 33, 34, 37, 38, 39, 40, 42, 43, 44, 45, 46, 49, 51, 52,
    56, 57, 58, 59, 60, 63, 102, 105, 114,
)  # fmt: skip
"""The scenarios whose faults Kubernetes itself knows."""


def test_the_catalogue_has_every_scenario_of_the_demo_s_native_faults_and_each_loads() -> None:
    assert set(NATIVE) <= set(IDS) <= set().union(*CLASSES.values())
    scenarios = catalogue().all()
    assert [scenario.id for scenario in scenarios] == list(IDS)
    assert len({scenario.digest for scenario in scenarios}) == len(IDS)


def test_each_scenario_is_playable_and_scorable() -> None:
    for scenario in catalogue().all():
        assert scenario.key == f"live/8949d5b/{scenario.id}"
        assert all(planned.fault in FAULTS for planned in scenario.injections())
        assert scenario.id in CLASSES[scenario.conflict.kind]
        if not scenario.false_alarm:
            assert injected_objects(scenario)
            assert scenario.scored_ground_truth().roots
            assert scenario.expected_alerts
            assert scenario.solutions


def test_a_ground_truth_that_contradicts_the_injection_has_a_corrected_one_with_the_reason() -> None:
    for scenario in catalogue().all():
        corrected = scenario.corrected
        assert corrected is not None or scenario.conflict.kind not in ("A", "N")
        if corrected is not None:
            assert scenario.conflict.kind != "none"
            assert corrected.reason
            assert scenario.scored_ground_truth() is corrected
            published = scenario.scored_ground_truth("published")
            assert published is (corrected if scenario.conflict.kind == "N" else scenario.ground_truth)


def test_a_false_alarm_has_nothing_to_blame() -> None:
    alarm = catalogue().get(37)
    assert alarm.false_alarm
    assert alarm.scored_ground_truth().roots == ()
    assert [root.kind for root in alarm.scored_ground_truth("published").roots] == ["Namespace"]


def test_injections_that_would_have_no_effect_are_repaired_and_say_how() -> None:
    repaired = {one.id for one in catalogue().select("sre,finops") if one.repaired}
    assert {31, 38, 42} <= repaired
    for planned in catalogue().get(38).injections():
        assert "HorizontalPodAutoscaler" in planned.repaired


def test_every_fault_mechanism_is_used_by_a_scenario() -> None:
    used = {planned.fault for scenario in catalogue().all() for planned in scenario.injections()}
    elsewhere = {17, 24, 29}  # the book-info application, or beside chaos
    assert {fault.index for name, fault in FAULTS.items() if name not in used} <= elsewhere


def test_an_alias_of_the_root_is_accepted_for_it() -> None:
    truth = catalogue().get(16).ground_truth
    accepted = {group.id for group in truth.accepted(truth.roots[0])}
    assert accepted == {"shipping-deployment-1", "shipping-service-1", "shipping-pod-1"}


def test_injected_objects_name_what_changes_and_what_is_created() -> None:
    assert injected_objects(catalogue().get(44)) == (
        ObjectRef("Deployment", "payment", "otel-demo"),
        ObjectRef("DaemonSet", "application-operator", "otel-demo"),
    )
    assert injected_objects(catalogue().get(12)) == (ObjectRef("ConfigMap", "flagd-config", "otel-demo"),)


def test_flag_scenarios_turn_off_every_injected_flag() -> None:
    for scenario in catalogue().select("fault:opentelemetry-demo-feature-flag"):
        injected = {
            planned.args["flag"]["name"] for planned in scenario.injections() if "flag" in planned.args
        }
        ways = [way for group in scenario.solutions for way in group]
        for alternative in ways:
            steps = [step.args for step in alternative.steps if step.tool == "set_feature_flag"]
            assert {args["flag"] for args in steps} <= injected
            assert {args["variant"] for args in steps} <= {"off"}
        turned = {step.args.get("flag") for way in ways for step in way.steps}
        assert injected <= turned


# --- selecting


@pytest.mark.parametrize(
    ("selector", "ids"),
    [
        ("all", IDS),
        (16, (16,)),
        ([16, 2], (2, 16)),
        ("2,16", (2, 16)),
        (["2", 16, 2], (2, 16)),
        ("live/8949d5b/105", (105,)),
        ("tag:authentication", (34, 63)),
        ("finops", (37, 38)),
        ("fault:valkey-workload-out-of-memory", (40,)),
        (["finops", 2], (2, 37, 38)),
        ("sre", tuple(one for one in IDS if one not in (37, 38))),
        ("lite35", tuple(one for one in IDS if one <= 35)),
        ("clean", tuple(one for one in IDS if one in CLASSES["none"] | CLASSES["C"])),
        ("class:B", tuple(one for one in IDS if one in CLASSES["B"])),
    ],
)
def test_selectors_mean_scenarios(selector: list[int | str] | int | str, ids: tuple[int, ...]) -> None:
    assert tuple(scenario.id for scenario in catalogue().select(selector)) == ids


def test_everything_unknown_is_reported_together_with_what_is_near() -> None:
    with pytest.raises(ConfigurationError) as caught:
        catalogue().select([2, 9, "tag:Netwrking", "al", "live/other/16"])
    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 4
    assert "no scenario 9" in messages[0]
    assert "8, 10" in messages[0]
    assert "Networking" in messages[1]
    assert "did you mean all" in messages[2]
    assert "live/other/16" in messages[3]


def test_selecting_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        catalogue().select([])


def test_a_file_must_be_called_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "017.yaml").write_text(GOOD)
    with pytest.raises(ConfigurationError, match="expected 17"):
        Catalogue(tmp_path).get(17)


def test_the_digest_moves_with_the_content_only(tmp_path: Path) -> None:
    path = tmp_path / "016.yaml"
    path.write_text("# a comment\n" + GOOD)
    same = load_scenario(path)
    path.write_text(GOOD.replace("quote:0000", "quote:1111"))
    other = load_scenario(path)
    assert same.digest == catalogue().get(16).digest != other.digest


# --- broken files


def test_three_mistakes_are_reported_together_each_at_its_line(tmp_path: Path) -> None:
    text = (
        GOOD.replace("complexity: medium", "complexity: tricky")
        .replace(
            "source: checkout-service-1, target: email-service-1",
            "source: chekout-service-1, target: email-service-1",
        )
        .replace("tool: rollout_undo", "tool: roll_back")
    )
    found = problems_of(tmp_path, text)
    assert set(found) == {line_of(text, part) for part in ("tricky", "chekout", "roll_back")}
    allowed = "'low', 'medium', 'high' or 'unknown'"
    assert f"complexity: found 'tricky'; expected {allowed}" in found[line_of(text, "tricky")]
    assert "ground_truth.propagations[5].source" in found[line_of(text, "chekout")]
    assert "did you mean checkout-service-1" in found[line_of(text, "chekout")]
    assert "expected a remediation tool" in found[line_of(text, "roll_back")]


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("category: sre", "kategory: sre", "kategory", "did you mean category"),
        ("universe: live\n", "", "version", "universe: is missing"),
        ("application: otel-demo", "application: otel-dmo", "otel-dmo", "did you mean otel-demo"),
        ("'quote:0000'", "on", "value: on", "quote it"),
        ("env: {name: QUOTE_ADDR", "env: {nme: QUOTE_ADDR", "nme:", "container.env.nme: is not a known field"),
        ("kind: Deployment, metadata", "kind: Pod, metadata", "kind: Pod", "'Deployment' or 'StatefulSet'"),
        ("fault: modified-kub", "fault: modifed-kub", "modifed", "did you mean modified-kubernetes"),
        ("['quote\\b']", "['quote(']", "quote(", "expected a regular expression"),
        ("group: quote-service-1", "group: quote-1", "group: quote-1", "expected the id of a group"),
        ("[shipping-service-1, shipping-pod-1", "[shipping-service-1, shiping-pod-1", "shiping", "shipping-pod-1"),
        (", root_cause: true", "", "  groups:", "expected at least one"),
        ("id: 16\n", "id: 16\nid: 17\n", "id: 17", "written twice"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_field_and_expectation(
    tmp_path: Path, old: str, new: str, at: str, says: str
) -> None:
    text = GOOD.replace(old, new, 1)
    found = problems_of(tmp_path, text)
    line = line_of(text, at) if "is missing" not in says else 1
    assert line in found
    assert says in found[line]


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "", "universe: [live\n", "a: 1\n\tb: 2\n"])
def test_a_file_that_is_no_scenario_at_all_is_refused(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no-such-file"):
        load_scenario(tmp_path / "no-such-file.yaml")
