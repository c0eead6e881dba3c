"""What attempts that count in no trial consumed is told."""

from __future__ import annotations

from pathlib import Path

from harness.records import EarlierAttempt, Interrupted
from harness.report.spending import spending_entry, spending_lines
from harness.store import RunDirectory
from tests.report.factory import handmade, stored_run, usage


def test_nothing_is_said_of_a_run_that_cost_and_discarded_nothing(tmp_path: Path) -> None:
    stored = stored_run(tmp_path / "run")
    assert spending_entry(stored.path, stored.records()) is None


def test_interrupted_and_earlier_attempts_are_added_up(tmp_path: Path) -> None:
    stored = stored_run(tmp_path / "run")
    one = Interrupted(trial_id="a", attempt=1, journal="w.jsonl:1", events=3, usage=usage(3000), trace=None)
    stored.interrupted_file.write_text(one.model_dump_json() + "\n")
    _, records = handmade()
    earlier = EarlierAttempt(reason="api_error", usage=usage(500))
    records[0] = records[0].model_copy(update={"earlier": (earlier, earlier)})

    entry = spending_entry(RunDirectory(stored.path).path, records)

    assert entry is not None
    found = [usage(3000), usage(500), usage(500)]
    assert entry["discarded"] == {
        "attempts": 3,
        "calls": sum(each.calls for each in found),
        "tokens": 5500,
        "usd": sum(each.cost_usd for each in found),
    }
    assert any(line.startswith("3 attempts that do not count") for line in spending_lines(entry))
