"""Traces beside a page: every trial once, in files of bounded number, replaced by content; links into the list."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from harness.records import TrialRecord, Verdict
from harness.report import traces
from harness.report.index import TrialIndex, numbers_of, verdict_bits
from harness.report.traces import chosen, embedded, pack, remove_others, write_beside
from harness.trace import decode
from tests.report.factory import experiment, handmade, packed, plan, record, spec, trace


def entries(path: Path) -> list[tuple[int, str, str]]:
    text = path.read_text(encoding="ascii")
    assert re.fullmatch(r'harnessTraces\(\[\n(\[\d+,"[A-Za-z0-9+/=]*","[A-Za-z0-9+/=]*"\],?\n)+\]\);\n', text)
    return [tuple(one) for one in json.loads(text[len("harnessTraces(") : -len(");\n")])]


def test_every_trial_lies_in_the_file_that_the_page_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "FILE_BYTES", 20_000)
    frozen, records = experiment(models=["m"], scenarios=6, repeats=2)
    numbers = numbers_of(frozen)
    beside = write_beside(tmp_path / "files", records, numbers, packed)
    assert 1 < len(beside.names) <= traces.MAX_FILES
    kept = [one for one in records if one.trace]
    assert beside.places.keys() == {one.spec.trial_id for one in kept}
    for one in kept:
        path = tmp_path / "files" / beside.names[beside.places[one.spec.trial_id]]
        found = {number: (said, events) for number, said, events in entries(path)}
        said, events = found[numbers[one.spec.trial_id]]
        assert TrialRecord.model_validate_json(gzip.decompress(base64.b64decode(said))) == one
        assert decode(gzip.decompress(base64.b64decode(events))) == trace(one)


def test_a_trace_that_cannot_be_read_leaves_the_record() -> None:
    def lost(_: TrialRecord) -> bytes:
        raise FileNotFoundError("traces/0001.jsonl.gz")

    number, said, events = pack(record(), 7, lost)
    assert (number, events) == (7, "")
    assert json.loads(gzip.decompress(base64.b64decode(str(said))))["status"] == "scored"


def test_what_does_not_fit_is_left_to_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MAX_BYTES", 4_000)
    frozen, records = experiment(models=["m"], scenarios=2, repeats=1)
    beside = write_beside(tmp_path, records, numbers_of(frozen), packed)
    assert 0 < len(beside.places) < sum(1 for one in records if one.trace)


def test_only_files_of_an_earlier_report_are_removed(tmp_path: Path) -> None:
    for name in ("000-0123456789ab.js", "001-0123456789ab.js", "mine.js", "notes.txt"):
        (tmp_path / name).write_text("")
    remove_others(tmp_path, ["001-0123456789ab.js"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["001-0123456789ab.js", "mine.js", "notes.txt"]


def test_embedded_traces_are_a_bounded_choice_over_all_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, records = experiment(models=[f"m{n}" for n in range(3)], scenarios=6)
    picked = chosen(records)
    assert picked == chosen(records[::-1])
    assert set(Counter((r.spec.model, r.spec.arm) for r in picked).values()) == {4}
    monkeypatch.setattr(traces, "EMBEDDED_BYTES", 6_000)
    assert 0 < len(embedded(picked, numbers_of(frozen), packed)) < len(picked)


def test_the_list_of_trials_holds_what_a_link_asks_for() -> None:
    frozen, records = handmade()
    index = TrialIndex(frozen, records)
    document = index.document({})
    assert len(document["trials"]) == len(records)
    link = index.trials({"model": "sim_b", "agent": "react"}, arm="verifier_gate", mode="step_repetition")
    assert link == f"#trials?system=1&arm=1&mode={document['modes'].index('step_repetition')}"
    assert index.trials(outcomes=["failed", "excluded"]) == "#trials?outcome=3.4"
    assert index.trials(pair=("verifier_gate", "baseline")) == "#trials?pair=1.0"
    assert index.trial(frozen.trials[7].trial_id) == "#trial-7"


@pytest.mark.parametrize(
    ("verdict", "bits"),
    [(None, 8), ((True, True, False), 3), ((False, True, True), 6), ((False, False, False), 0)],
)
def test_verdicts_are_three_bits(verdict: tuple[bool, bool, bool] | None, bits: int) -> None:
    names = ("symptom_cleared", "cause_removed", "collateral_damage")
    assert verdict_bits(Verdict(**dict(zip(names, verdict, strict=True))) if verdict else None, True) == bits


def test_recorded_incidents_have_no_verdict_and_lack_none() -> None:
    assert verdict_bits(None, can_act=False) is None


def test_numbers_of_trials_are_places_in_the_plan() -> None:
    trials = [spec(3), spec(2)]
    assert numbers_of(plan(trials, [])) == {trials[0].trial_id: 0, trials[1].trial_id: 1}
