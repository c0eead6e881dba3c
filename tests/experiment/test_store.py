"""The run directory keeps what was finished, drops what was torn, and refuses another plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.records import Plan, TrialRecord, TrialSpec
from harness.store import RunDirectory, cut_torn_line
from harness.trace import UserMessage, encode


def spec(number: int) -> TrialSpec:
    return TrialSpec(trial_id=f"t{number}", scenario="s", model="m", agent="a", arm="b", repeat=0, seed=1)


def plan(**fields: object) -> Plan:
    given: dict[str, object] = {
        "experiment": "e",
        "question": "q",
        "config": {"repeats": 3},
        "hashes": {"prompt": "p"},
        "primary_metric": "recall",
        "reference_arm": "b",
        "contrasts": (),
        "trials": tuple(spec(number) for number in range(3)),
        "digest": "one",
    }
    return Plan.model_validate(given | fields)


def record(number: int) -> tuple[TrialRecord, bytes]:
    return TrialRecord(spec=spec(number), status="scored"), encode([UserMessage(i=0, text=f"hello {number}")])


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    run = RunDirectory(tmp_path / "run")
    run.open_for_writing(plan())
    yield run
    run.close()


def test_finished_trials_and_their_traces_come_back(run: RunDirectory) -> None:
    run.append([record(0), record(1)])
    run.append([record(2)])
    found = run.records()
    assert [one.spec.trial_id for one in found] == ["t0", "t1", "t2"]
    assert [one.text for one in run.trace(found[1]) if isinstance(one, UserMessage)] == ["hello 1"]
    assert len(list((run.path / "traces").iterdir())) == 1


def test_a_torn_last_line_is_owed_again(run: RunDirectory) -> None:
    run.append([record(0), record(1)])
    whole = run.records_file.read_bytes()
    run.records_file.write_bytes(whole[:-20])
    assert [one.spec.trial_id for one in run.records()] == ["t0"]
    run.close()
    again = RunDirectory(run.path)
    again.open_for_writing(plan())
    again.append([record(1)])
    again.close()
    assert [one.spec.trial_id for one in again.records()] == ["t0", "t1"]


@pytest.mark.parametrize("size", [0, 1, 10, 70_000, 200_000])
@pytest.mark.parametrize("torn", [0, 1, 65_535, 65_536, 150_000])
def test_what_is_cut_off_ends_at_the_last_whole_line(size: int, torn: int, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    whole = b"x" * size + b"\n" if size else b""
    file.write_bytes(whole + b"y" * torn)
    cut_torn_line(file)
    assert file.read_bytes() == whole


def test_a_broken_line_in_the_middle_is_an_error_with_its_number(run: RunDirectory) -> None:
    run.append([record(0)])
    run.records_file.write_bytes(b"{}\n" + run.records_file.read_bytes())
    with pytest.raises(ConfigurationError, match=r"records\.jsonl:1"):
        run.records()


def test_a_changed_plan_is_refused_with_a_diff(run: RunDirectory) -> None:
    run.append([record(0)])
    run.close()
    changed = plan(config={"repeats": 5, "seed": 2}, hashes={"prompt": "q"}, digest="two")
    with pytest.raises(ConfigurationError) as caught:
        RunDirectory(run.path).open_for_writing(changed)
    told = str(caught.value)
    for difference in ("config.repeats: 3 -> 5", "config.seed: absent -> 2", 'hashes.prompt: "p" -> "q"'):
        assert difference in told
    assert len(run.records()) == 1


def test_two_writers_are_refused(run: RunDirectory) -> None:
    with pytest.raises(ConfigurationError, match="another process"):
        RunDirectory(run.path).open_for_writing(plan())


def test_a_directory_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no run is stored here"):
        RunDirectory(tmp_path).read_plan()


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        RunDirectory(tmp_path / "file" / "run").open_for_writing(plan())
