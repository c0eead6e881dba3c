"""Human gold: blind sheets, strict reading, agreement."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from trace_builder import clean

from harness.errors import ConfigurationError
from harness.interop.imported import Imported
from harness.mast.calibration.gold import (
    GoldLine,
    Mark,
    agreement,
    krippendorff,
    read_gold,
    unblinded,
    write_sheets,
)
from harness.mast.tally import Agreement
from harness.trace import Event, GuardFired, ModelCall


def items(count: int) -> list[Imported]:
    events: list[Event] = [
        msgspec.structs.replace(event, model="secret-model") if isinstance(event, ModelCall) else event
        for event in clean()
    ]
    events.append(GuardFired(i=len(events), guard="secret_gate", ruling="deny", on="submission"))
    return [
        Imported(f"2.secret-model.secret_arm.r{n}", "secret-model secret_arm", events) for n in range(count)
    ]


def test_sheets_are_drawn_blind_and_the_key_leads_back(tmp_path: Path) -> None:
    assert write_sheets(items(30), tmp_path, count=5, seed=1) == 5
    sheets = sorted(tmp_path.glob("*.md"))
    assert [path.name for path in sheets] == [f"t000{n}.md" for n in range(1, 6)]
    for path in [*sheets, tmp_path / "gold_template.jsonl"]:
        assert "secret" not in path.read_text(encoding="utf-8")
    assert "**step_repetition**" in sheets[0].read_text(encoding="utf-8")
    key = json.loads((tmp_path / "key.json").read_text(encoding="utf-8"))
    assert len(set(key.values())) == 5
    line = GoldLine(trace="t0001", annotator="a", labels={})
    assert unblinded([line], key)[0].trace == key["t0001"]


def test_the_same_seed_draws_the_same_sheets(tmp_path: Path) -> None:
    keys = []
    for name in ("one", "two"):
        write_sheets(items(30), tmp_path / name, count=4, seed=7)
        keys.append((tmp_path / name / "key.json").read_text(encoding="utf-8"))
    assert keys[0] == keys[1]


def test_every_wrong_line_is_named(tmp_path: Path) -> None:
    yes = {"trace": "t1", "annotator": "a", "labels": {"derailment": {"present": "yes", "events": [3]}}}
    bad = [
        {"trace": "t2", "annotator": "a", "labels": {"derailment": {"present": "yes"}}},
        {"trace": "t3", "annotator": "a", "labels": {"daydreaming": {"present": "no"}}},
        {"trace": "t4", "labels": {"derailment": {"present": "maybe"}}},
    ]
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(map(json.dumps, [yes, *bad])), encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        read_gold(path)
    text = str(raised.value)
    for part in (
        ":2: derailment: a yes needs events",
        ":3: daydreaming: unknown mode",
        ":4: annotator",
        "present",
    ):
        assert part in text
    path.write_text(json.dumps(yes), encoding="utf-8")
    assert read_gold(path)[0].labels["derailment"].events == (3,)


def gold(answers: dict[str, str]) -> list[GoldLine]:
    """Annotator -> one letter per trace: y, n, c, or - for a gap."""
    words = {"y": Mark(present="yes", events=(1,)), "n": Mark(present="no"), "c": Mark(present="cannot_tell")}
    return [
        GoldLine(
            trace=f"t{place}", annotator=name, labels={"derailment": words[letter]} if letter in words else {}
        )
        for name, letters in answers.items()
        for place, letter in enumerate(letters)
    ]


def test_agreement_of_two_annotators_by_hand() -> None:
    found = agreement(gold({"a": "yyyynnnnnn", "b": "yyynnnnnny"}))["derailment"]
    assert (found.traces, found.positives) == (10, 8)
    assert found.kappa.estimate == pytest.approx((0.8 - 0.52) / 0.48)
    assert found.ac1.estimate == pytest.approx((0.8 - 0.48) / 0.52)
    assert found.alpha.estimate == pytest.approx(1 - 2 * 2 / (2 * 8 * 12 / 19))
    assert found.kappa.low is not None
    assert found.kappa.low < (0.8 - 0.52) / 0.48 < (found.kappa.high or 0)


def test_cannot_tell_and_gaps_are_missing_answers() -> None:
    found = agreement(gold({"a": "ynyc", "b": "ynn-"}))["derailment"]
    assert found.traces == 3


def test_three_annotators_have_alpha_only() -> None:
    found = agreement(gold({"a": "yynn", "b": "yynn", "c": "yyn-"}))["derailment"]
    assert found.kappa.estimate is None
    assert found.alpha.estimate == pytest.approx(1.0)


def test_alpha_is_undefined_without_variation() -> None:
    assert krippendorff([{"a": 0, "b": 0}]) is None


def test_kappa_collapses_for_rare_modes_and_ac1_does_not() -> None:
    rare = Agreement(both=0, ours_only=1, theirs_only=1, neither=98)
    assert (rare.kappa or 0) < 0
    assert (rare.ac1 or 0) > 0.97
