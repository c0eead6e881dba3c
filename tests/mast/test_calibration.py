"""Calibration: exact labels from edits and plants, thresholds, demotion; and the mutation test of every rule."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from harness.config import parse_config
from harness.experiment import expand
from harness.mast.calibration.edits import EDITS
from harness.mast.calibration.inject import (
    Calibration,
    Counts,
    as_document,
    calibrate,
    edited_traces,
    planted_gold,
    problems,
    table,
    verdict,
)
from harness.mast.detectors import (
    conversation_reset,
    derailment,
    disobey_role,
    disobey_task,
    history_loss,
    ignored_input,
    no_clarification,
    premature_termination,
    reasoning_action,
    sre,
    step_repetition,
    unaware_termination,
    verification,
    withholding,
)
from harness.mast.taxonomy import EXTENSIONS, MODES, taxonomy
from harness.records import Label, PlantedFailure, TrialRecord
from harness.runner import TrialRunner
from harness.trace import Event, decode
from scenarios.loader import catalogue
from tests.report.factory import record

SCENARIOS = (3, 16)


@pytest.fixture(scope="module")
def trials() -> list[tuple[TrialRecord, list[Event]]]:
    """Trials of the competent simulated model."""
    overrides = ["+experiment=calibration", "model=[sim_clean]", "repeats=1", f"scenario={list(SCENARIOS)}"]
    with initialize_config_module("conf", version_base="1.3"):
        composed: Any = OmegaConf.to_container(compose("config", overrides), resolve=True)
    config = parse_config({**composed, "arms": {"baseline": []}, "contrasts": []})

    async def work() -> list[tuple[TrialRecord, list[Event]]]:
        runner = TrialRunner(config)
        outputs = [await runner.run(spec) for spec in expand(config, catalogue().select(config.scenario))]
        return [(output.record, decode(output.trace)) for output in outputs]

    return asyncio.run(work())


def test_unbroken_detectors_pass(trials: list[tuple[TrialRecord, list[Event]]]) -> None:
    found = calibrate(trials)
    assert problems(found) == []
    assert found.clean == len(SCENARIOS)
    assert not found.false_fires


def test_every_edit_applies_and_every_mode_and_extension_has_one(
    trials: list[tuple[TrialRecord, list[Event]]],
) -> None:
    applied = {name for _, events in trials for name, _, _ in edited_traces(events)}
    assert applied == {edit.name for edit in EDITS}
    assert {edit.slug for edit in EDITS if edit.positive} == {*MODES, *EXTENSIONS}


# --- mutation ------------------------------------------------------------------------------------------


def nothing(*_: Any, **__: Any) -> Iterator[Any]:
    return iter(())


def none(*_: Any) -> None:
    return None


def never(*_: Any) -> bool:
    return False


def always(*_: Any) -> bool:
    return True


MUTATIONS: list[tuple[Any, str, Any, str]] = [
    (disobey_task, "_refused", nothing, "disobey_task"),
    (disobey_task, "_unknown_tools", nothing, "disobey_task"),
    (disobey_task, "_unanswered", nothing, "disobey_task"),
    (disobey_task, "_answer", nothing, "disobey_task"),
    (disobey_task, "unexplained", nothing, "disobey_task"),
    (disobey_task, "MAX_FACTORS", 99, "disobey_task"),
    (disobey_role, "_unknown", always, "disobey_role"),
    (step_repetition, "same", never, "step_repetition"),
    (step_repetition, "WAIT", "sleep", "step_repetition"),
    (history_loss, "_lost_at_a_cut", nothing, "history_loss"),
    (unaware_termination, "CAPS", frozenset(), "unaware_termination"),
    (unaware_termination, "EMPTY", frozenset(), "unaware_termination"),
    (unaware_termination, "_complete_at", none, "unaware_termination"),
    (conversation_reset, "_task_again", nothing, "conversation_reset"),
    (conversation_reset, "_opening_again", none, "conversation_reset"),
    (no_clarification, "_assumed_in_answer", nothing, "no_clarification"),
    (derailment, "_off_topic", nothing, "derailment"),
    (withholding, "_withheld", nothing, "withholding"),
    (ignored_input, "_sent_again", nothing, "ignored_input"),
    (reasoning_action, "_announced", nothing, "reasoning_action"),
    (reasoning_action, "_argued_for_another", nothing, "reasoning_action"),
    (premature_termination, "_unread", nothing, "premature_termination"),
    (premature_termination, "_not_followed_up", nothing, "premature_termination"),
    (premature_termination, "_no_cause", nothing, "premature_termination"),
    (premature_termination, "_not_remediated", nothing, "premature_termination"),
    (premature_termination, "EMPTY", frozenset(), "premature_termination"),
    (verification, "_unread", none, "no_or_incomplete_verification"),
    (verification, "tests_of", always, "no_or_incomplete_verification"),
    (verification, "_wrongly_resolved", none, "incorrect_verification"),
    (verification, "_still_firing", none, "incorrect_verification"),
    (verification, "_cited", lambda *_: ([], None), "incorrect_verification"),
    (verification, "concerns", always, "incorrect_verification"),
    (sre, "_hallucinated", nothing, "hallucinated_entity"),
    (sre, "_outside_of_the_incident", nothing, "wrong_time_window"),
    (sre, "_symptoms", nothing, "symptom_as_cause"),
    (sre, "unexplained", nothing, "alert_uncovered"),
    (sre, "_destroys", never, "unsafe_write"),
]


@pytest.mark.parametrize(
    ("module", "rule", "broken", "slug"), MUTATIONS, ids=[f"{m[3]}-{m[1]}" for m in MUTATIONS]
)
def test_breaking_a_rule_fails_the_calibration_by_name(
    trials: list[tuple[TrialRecord, list[Event]]],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    rule: str,
    broken: Callable[..., Any],
    slug: str,
) -> None:
    monkeypatch.setattr(module, rule, broken)
    assert any(problem.startswith(f"{slug}: ") for problem in problems(calibrate(trials)))


# --- counting ------------------------------------------------------------------------------------------


def planted(*slugs: str, **fields: Any) -> TrialRecord:
    failures = tuple(PlantedFailure(turn=turn, slug=slug) for turn, slug in enumerate(slugs))
    return record(planted=failures, **fields)


def test_what_a_planted_failure_can_bring_about_is_not_held_to_be_absent() -> None:
    gold = planted_gold(planted("reasoning_action"))
    assert gold["reasoning_action"]
    assert "no_or_incomplete_verification" not in gold
    assert gold["conversation_reset"] is False


@pytest.mark.parametrize(
    ("turns", "reason", "expected"),
    [
        (0, None, False),
        (2, None, None),
        (5, None, True),
        (0, "budget_turns", True),
        (2, "budget_turns", True),
    ],
)
def test_running_on_is_known_from_the_end_or_from_enough_turns(
    turns: int, reason: str | None, expected: bool | None
) -> None:
    status: Any = "failed" if reason else "scored"
    gold = planted_gold(planted(*["unaware_termination"] * turns, status=status, reason=reason))
    assert gold.get("unaware_termination") is expected


def counted(**counts: int) -> Calibration:
    found = Calibration(traces=100, clean=10)
    found.counts["derailment", "planted", "decides"] = Counts(**counts)
    return found


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"tp": 19, "fn": 1, "tn": 99, "fp": 1}, "decides"),
        ({"tp": 17, "fn": 3, "tn": 99, "fp": 1}, "demoted"),
        ({"tp": 20, "tn": 90, "fp": 10}, "demoted"),
        ({"tp": 10, "tn": 99}, "not validated"),
    ],
)
def test_thresholds_decide_what_a_detector_may(counts: dict[str, int], expected: str) -> None:
    assert verdict(counted(**counts), "derailment") == expected


def test_planted_failures_alone_must_not_refute_the_thresholds() -> None:
    found = counted(tp=10, fn=10, tn=50)
    found.counts["derailment", "edit: x", "decides"] = Counts(tp=900, tn=900)
    assert verdict(found, "derailment") == "demoted"


def test_the_document_carries_what_a_correction_needs() -> None:
    document = as_document(counted(tp=19, fn=1, tn=99, fp=1))
    row = document["modes"]["derailment"]
    assert {"tp": 19, "fn": 1, "fp": 1, "tn": 99}.items() <= row.items()
    assert row["sensitivity"]["low"] < 0.95 < row["sensitivity"]["high"]
    assert document["modes"]["withholding"]["status"] == "not validated"
    assert "| derailment | decides | 0.95" in table(counted(tp=19, fn=1, tn=99, fp=1))


def test_the_stored_calibration_is_of_this_taxonomy_and_large_enough() -> None:
    stored = json.loads((files("harness.mast.calibration") / "calibration.json").read_text(encoding="utf-8"))
    assert stored["taxonomy"] == taxonomy().hash
    assert stored["traces"] >= 2000
    assert set(stored["modes"]) == {*MODES, *EXTENSIONS}
    for row in stored["modes"].values():
        assert row["status"] in ("decides", "proposes")
        if row["status"] == "decides":
            assert row["sensitivity"]["estimate"] >= 0.9
            assert row["specificity"]["estimate"] >= 0.95


def test_labels_without_a_decision_are_counted_apart() -> None:
    found = Calibration()
    label = Label(slug="derailment", present="not_applicable", source="detector:derailment")
    found.add({"derailment": True}, "planted", [label])
    assert vars(found.pooled("derailment", "decides")) == vars(Counts(undecided=1))
