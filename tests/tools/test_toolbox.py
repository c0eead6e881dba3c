"""Calls from raw arguments to outcomes: validation, refusals, truncation, schemas."""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_shop import NS, FakeCluster, FakeTelemetry

from harness.errors import TrialError
from harness.tools.rendering import render
from harness.tools.submit import SUBMIT
from harness.tools.toolbox import ORDER, Toolbox, schemas_of

GOLDEN = Path(__file__).parent / "tool_schemas.json"


def as_sent() -> list[dict[str, Any]]:
    return [
        {"name": schema.name, "description": schema.description, "parameters": dict(schema.parameters)}
        for schema in (*schemas_of(True), SUBMIT)
    ]


def test_schemas_are_those_of_the_golden_file() -> None:
    """What models see is part of the experiment: update the file on purpose, or not at all."""
    assert as_sent() == json.loads(GOLDEN.read_text())


def test_schemas_are_plain_and_short() -> None:
    text = json.dumps(as_sent(), separators=(",", ":"))
    assert "$defs" not in text
    assert "$ref" not in text
    assert '"title"' not in text
    assert "anyOf" not in text
    assert len(text) < 13_500, "about 3,500 tokens"


def test_schemas_keep_their_order_and_are_made_once(toolbox: Toolbox) -> None:
    assert [schema.name for schema in toolbox.schemas()] == list(ORDER)
    assert toolbox.schemas() is toolbox.schemas()


def test_without_actions_no_write_can_be_called(cluster: FakeCluster, telemetry: FakeTelemetry) -> None:
    toolbox = Toolbox(cluster, telemetry, [NS], allow_actions=False)
    assert not any(toolbox.mutates(schema.name) for schema in toolbox.schemas())
    outcome = toolbox.call("scale_workload", {"name": "checkout", "namespace": NS, "replicas": 0})
    assert not outcome.ok
    assert "unknown tool 'scale_workload'" in outcome.text
    assert cluster.writes == 0


@pytest.mark.parametrize(
    ("name", "raw", "told"),
    [
        ("alert_sumary", "{}", ["unknown tool 'alert_sumary'", "alert_summary"]),
        ("zzz", "{}", ["unknown tool 'zzz'", "kubectl_get"]),
        ("alert_summary", "{not json", ["alert_summary: the arguments are not JSON"]),
        ("alert_summary", "[1]", ["expected a JSON object of arguments, found list"]),
        ("alert_summary", "null", ["expected a JSON object of arguments, found NoneType"]),
        ("wait", '{"seconds": 0}', ["seconds: ", "greater than or equal to 1", "found 0"]),
        ("wait", '{"seconds": 901}', ["less than or equal to 900"]),
        (
            "alert_summary",
            '{"start_time": "yesterday"}',
            ["start_time: expected a time such as", "yesterday"],
        ),
        ("alert_summary", '{"state_filter": "on"}', ["state_filter", "'firing'", "found 'on'"]),
        ("kubectl_get", '{"kind": "pood", "namespace": "otel-demo"}', ["unknown kind 'pood'", "Pod"]),
        ("get_k8_spec", '{"k8_object_name": "a/b/c/d"}', ["'a/b/c/d' is no object id"]),
    ],
)
def test_a_bad_call_is_a_readable_error(toolbox: Toolbox, name: str, raw: str, told: list[str]) -> None:
    outcome = toolbox.call(name, raw)
    assert not outcome.ok
    assert outcome.text.startswith("Error: ")
    assert outcome.change is None
    for part in told:
        assert part in outcome.text


def test_all_problems_are_told_at_once(refused: Callable[..., str]) -> None:
    text = refused("patch_object", kind=3, nam="x", namespace=NS, patch="{", dry_run="perhaps")
    for part in ("kind: ", "name: required", "patch: ", "dry_run: ", "nam: unknown argument (accepted: kind"):
        assert part in text


def test_null_for_an_optional_argument_means_not_given(toolbox: Toolbox) -> None:
    plain = toolbox.call("alert_summary", {})
    assert toolbox.call("alert_summary", '{"limit": null, "start_time": null}').text == plain.text
    assert toolbox.call("alert_summary", "").text == plain.text


def test_arguments_may_come_as_text_or_as_mapping(toolbox: Toolbox) -> None:
    arguments = {"kind": "pods", "namespace": NS}
    assert (
        toolbox.call("kubectl_get", arguments).text == toolbox.call("kubectl_get", json.dumps(arguments)).text
    )


def test_a_refusal_of_the_cluster_is_told_in_its_words(toolbox: Toolbox, cluster: FakeCluster) -> None:
    cluster.refuse = 'pods "x" is forbidden: exceeded quota: memory'
    outcome = toolbox.call("scale_workload", {"name": "checkout", "namespace": NS, "replicas": 2})
    assert outcome.text == 'Error: forbidden: pods "x" is forbidden: exceeded quota: memory'
    assert outcome.mutating
    assert outcome.change is None
    assert toolbox.audit == []


def test_a_defect_of_a_tool_ends_the_attempt(toolbox: Toolbox, telemetry: FakeTelemetry) -> None:
    telemetry.records = [None]  # type: ignore[list-item]
    with pytest.raises(TrialError, match="tool_crash: log_analysis: AttributeError"):
        toolbox.call("log_analysis", {})


def test_reads_are_counted_and_take_environment_time(toolbox: Toolbox) -> None:
    assert toolbox.call("alert_summary", {}).seconds == 2.0
    toolbox.call("scale_workload", {"name": "checkout", "namespace": NS, "replicas": 2})
    assert toolbox.reads == 1


def test_wait_reports_the_time_and_nothing_else(toolbox: Toolbox) -> None:
    outcome = toolbox.call("wait", {"seconds": 90})
    assert (outcome.text, outcome.seconds, outcome.waits) == ('{"waited_s":90}', 90.0, True)
    assert not outcome.mutating


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("patch_object", None, True),
        ("patch_object", {"dry_run": True}, False),
        ("alert_summary", None, False),
        ("wait", None, False),
        ("submit", None, False),
        ("no_such_tool", None, False),
    ],
)
def test_mutates(toolbox: Toolbox, name: str, arguments: dict[str, Any] | None, expected: bool) -> None:
    assert toolbox.mutates(name, arguments) is expected


# --- size -------------------------------------------------------------------------------------------


def test_a_long_list_loses_its_tail_and_says_so(telemetry: FakeTelemetry, cluster: FakeCluster) -> None:
    toolbox = Toolbox(cluster, telemetry, [NS], limit=2000)
    outcome = toolbox.call("log_analysis", {"pattern_analysis": False})
    result = json.loads(outcome.text)
    assert len(outcome.text) <= 2000
    assert result["total_count"] == 21
    assert result["returned_count"] == len(result["data"]) < 21
    assert f"{len(result['data'])} of 21 `data` rows shown" in result["truncated"]
    assert "severity" in result["truncated"], "it says how to narrow the query"


@pytest.mark.parametrize("limit", [700, 2000, 12_000])
@pytest.mark.parametrize(
    "result",
    [
        {"spec": {"data": {"script": "x" * 50_000}}},
        {"spec": {"items": [{"name": f"item-{n}", "text": "y" * 90} for n in range(2000)]}},
        {"data": [{"body": "z" * 30_000}, {"body": "short"}], "total_count": 2},
        {f"key{n}": {"text": "v" * 40} for n in range(3000)},
    ],
)
def test_any_result_stays_valid_json_within_the_limit(result: dict[str, Any], limit: int) -> None:
    text = render(result, limit, "ask for less")
    assert len(text) <= limit
    assert "ask for less" in json.loads(text)["truncated"]


def test_a_short_result_is_complete() -> None:
    assert render({"a": [1, 2.5, None]}) == '{"a":[1,2.5,null]}'


# --- speed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alert_summary", "event_analysis", "log_analysis", "get_trace_error_tree"])
def test_a_read_costs_well_under_a_millisecond_of_our_own(toolbox: Toolbox, name: str) -> None:
    toolbox.call(name, "{}")
    best = min(timeit.repeat(lambda: toolbox.call(name, "{}"), number=10, repeat=5)) / 10
    assert best < 0.002, f"{best * 1e3:.2f} ms; the bound leaves room for a busy machine"
