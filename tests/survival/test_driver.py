"""The driver dies, is interrupted, or cannot write; the same command given again does exactly what is owed."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.survival.runs import Story, ended, give, ids, kept, raw_config, require_survival, running, story

KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def quiet(quiet_run: Path) -> Story:
    return story({"run_dir": str(quiet_run)})


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Any]:
    return raw_config(tmp_path / "run")


@pytest.mark.parametrize("point", ["before_plan", "half_trace", "before_record", "half_record"])
def test_killed_while_writing(point: str, raw: dict[str, Any], quiet: Story) -> None:
    assert give(raw, point).code == KILLED
    survived = kept(raw)
    assert len(survived) < 8
    require_survival(raw, survived, give(raw), quiet)


def test_killed_with_trials_in_flight(raw: dict[str, Any], quiet: Story) -> None:
    with running(raw, records=3) as child:
        child.kill()
        died = ended(child)
    survived = kept(raw)
    assert set(died.executed) > ids(survived), "nothing was in flight"
    require_survival(raw, survived, give(raw), quiet)


def test_killed_during_the_report(raw: dict[str, Any], quiet: Story) -> None:
    assert give(raw, "during_report", "report").code == KILLED
    assert len(kept(raw)) == 8
    again = give(raw, "none", "report")
    require_survival(raw, kept(raw), again, quiet)
    assert (Path(raw["run_dir"]) / "report.html").stat().st_size > 10_000


def test_the_disk_is_full(raw: dict[str, Any], quiet: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE_LIMIT", "150000")
    stopped = give(raw, "full_disk")
    assert stopped.code == 1
    assert "run_dir_refuses" in stopped.said
    survived = kept(raw)
    assert 0 < len(survived) < 8
    require_survival(raw, survived, give(raw), quiet)


def test_the_run_directory_becomes_read_only(raw: dict[str, Any], quiet: Story) -> None:
    stopped = give(raw, "read_only")
    run_dir = Path(raw["run_dir"])
    for path in (run_dir, *run_dir.rglob("*")):
        path.chmod(0o755)
    assert stopped.code == 1
    assert "run_dir_refuses" in stopped.said
    survived = kept(raw)
    assert 0 < len(survived) < 8
    require_survival(raw, survived, give(raw), quiet)


def test_the_clock_jumps(raw: dict[str, Any], quiet: Story) -> None:
    require_survival(raw, [], give(raw, "jumping_clock"), quiet)


def test_the_first_ctrl_c_finishes_what_is_in_flight(raw: dict[str, Any], quiet: Story) -> None:
    with running(raw, records=1) as child:
        child.send_signal(signal.SIGINT)
        stopped = ended(child)
    survived = kept(raw)
    assert stopped.code == 1
    assert 1 < len(survived) < 8
    assert stopped.executed == Counter(ids(survived)), "what was begun was also finished"
    require_survival(raw, survived, give(raw), quiet)


def test_the_second_ctrl_c_stops_at_once(raw: dict[str, Any], quiet: Story) -> None:
    raw = raw_config(Path(raw["run_dir"]))
    raw["models"]["slow"]["call_s"] = 0.1
    with running(raw, records=1) as child:
        child.send_signal(signal.SIGINT)
        assert "again: stop at once" in child.stderr.readline()
        child.send_signal(signal.SIGINT)
        stopped = ended(child)
    survived = kept(raw)
    assert stopped.code == 1
    assert set(stopped.executed) > ids(survived)
    again = give(raw)
    assert again.executed == Counter(set(story(raw).records) - ids(survived))
    assert story(raw).records == quiet.records
