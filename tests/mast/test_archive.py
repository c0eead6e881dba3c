"""Classifying archives: files that come out, counts by group, agreement, memory and speed."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from trace_builder import Builder, clean, duplicated

from harness.cli import run as harness
from harness.errors import ConfigurationError
from harness.interop.imported import Broken, Imported, Item
from harness.mast.archive import classify_archive, summary
from harness.mast.tally import Tally, ours_for, wilson
from harness.mast.verb import build_judge, demoted_by, judge_fields
from harness.records import Label, Present
from harness.trace import Event, ToolResult, encode


def archive() -> Iterator[Item]:
    yield Imported("one", "g", clean(), "paper_v3", {"1.3": "absent", "2.3": "present", "3.1": "present"})
    yield Broken("two", "torn")
    yield Imported("three", "g", duplicated(clean(), "c5"), "paper_v3", {"1.3": "present"})
    yield Imported("four", "h", clean())


def test_labels_tables_and_what_was_broken(tmp_path: Path) -> None:
    found = classify_archive(archive(), tmp_path)
    lines = [
        json.loads(line) for line in (tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert sorted(line["trace"] for line in lines) == ["four", "one", "three", "two"]
    assert next(line for line in lines if line["trace"] == "two")["broken"] == "torn"
    table = pyarrow.parquet.read_table(tmp_path / "labels.parquet").to_pandas()
    assert set(table["trace"]) == {"one", "three", "four"}
    repeated = table[(table["slug"] == "step_repetition") & (table["present"] == "present")]
    assert repeated["trace"].tolist() == ["three"]
    assert [bad.trace_id for bad in found.broken] == ["two"]
    text = summary(found, ("step_repetition", "derailment"))
    assert "3 traces classified, 1 broken." in text
    assert "| step_repetition | 0.50 [0.09, 0.91] | 2 | 0 |" in text
    assert "two: torn" in text


def test_agreement_with_labels_that_came_along_is_over_decided_codes_only(tmp_path: Path) -> None:
    found = classify_archive(archive(), tmp_path).tally.agreement()
    assert found["paper_v3", "1.3"] == (1, 0, 0, 1)
    assert found["paper_v3", "3.1"] == (0, 0, 1, 0)
    assert ("paper_v3", "2.3") not in found


def test_verification_codes_are_compared_by_release() -> None:
    ours: dict[str, Present] = {
        "verification_v0": "absent",
        "verification_v1": "present",
        "verification_v2": "absent",
    }
    assert ours_for("agentdash", "3.3", ours) == "present"
    assert ours_for("agentdash", "3.2", ours) == "absent"
    assert ours_for("iaa_2_3", "3.2", ours) == "cannot_tell"
    assert ours_for("agentdash", "1.6", ours) == "cannot_tell"
    assert ours_for("agentdash", "9.9", ours) == "cannot_tell"


def test_proposals_have_a_column_of_their_own() -> None:
    tally = Tally()
    proposal = Label(slug="derailment", present="present", source="detector:derailment", basis="proposes")
    tally.add("g", [proposal], ["withholding"])
    assert tally.prevalence("g", "derailment") is None
    assert (tally.proposed["g", "derailment"], tally.missing["withholding"]) == (1, 1)


def test_wilson_by_hand() -> None:
    share = wilson(1, 10)
    assert share is not None
    assert (round(share.low, 3), round(share.high, 3)) == (0.018, 0.404)
    assert wilson(0, 0) is None


def test_an_archive_streams_in_bounded_memory(tmp_path: Path) -> None:
    def many(count: int) -> Iterator[Item]:
        for number in range(count):
            yield Imported(f"t{number}", "g", clean())

    def peak(count: int) -> int:
        tracemalloc.start()
        classify_archive(many(count), tmp_path / str(count))
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(5)
    assert peak(90) < peak(30) + 3e6


def long_trace() -> list[Event]:
    built = Builder()
    for number in range(1665):
        built.turn().call("kubectl_logs", {"pod": f"shipping-{number}"}, f"line {number} shipping " * 330)
    return built.turn("Done.").submit().events


def test_a_trace_of_ten_megabytes_is_classified_to_its_end(tmp_path: Path) -> None:
    events = long_trace()
    (tmp_path / "trace.jsonl").write_bytes(encode(events))
    assert len(events) >= 5000
    assert (tmp_path / "trace.jsonl").stat().st_size > 10e6
    tracemalloc.start()
    began = time.process_time()
    code = harness(["classify", str(tmp_path / "trace.jsonl"), "--out", str(tmp_path / "out")])
    high = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == 0
    assert high < 512e6
    assert time.process_time() - began < 60
    line = json.loads((tmp_path / "out" / "labels.jsonl").read_text(encoding="utf-8"))
    assert line["events"] == len(events)
    last = next(e.i for e in reversed(events) if isinstance(e, ToolResult) and e.name != "submit")
    spans = [i for label in line["labels"] for span in label.get("spans", ()) for i in span["events"]]
    assert max(spans) > last


def test_the_verb_says_what_was_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.json").write_text("[1]")
    assert harness(["classify", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "no known format" in capsys.readouterr().out


def test_judges_are_found_by_name() -> None:
    assert judge_fields("default")["kind"] == "litellm"
    assert judge_fields("gpt")["kind"] == "litellm"
    assert build_judge("none", "none", 3, Path("x")) is None
    with pytest.raises(ConfigurationError, match="neither"):
        judge_fields("nobody")


def test_a_calibration_demotes(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(
        json.dumps({"modes": {"derailment": {"status": "demoted"}, "withholding": {"status": "decides"}}})
    )
    assert demoted_by(file) == {"derailment"}
    assert demoted_by(None) == frozenset()
    file.write_text("{}")
    with pytest.raises(ConfigurationError, match="not a calibration"):
        demoted_by(file)
