"""One index per content: built once by whoever comes first, sealed against the answer, rebuilt after a change."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.environments.snapshot import cache
from harness.environments.snapshot.index import open_index
from tests.snapshot.conftest import Recorded


def open_at_once(directory: Path, indexes: Path, barrier: Any, answers: Any) -> None:
    """Ask for an index at the same time as another process; tell whether this one built it."""
    built = []
    build = cache.build

    def counted(*args: Any) -> None:
        built.append(1)
        build(*args)

    cache.build = counted
    barrier.wait()
    path = cache.ensure_index(directory, indexes)
    answers.put((len(built), str(path)))


def test_two_processes_at_once_build_one_index(recorded: Recorded, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    arguments = (recorded.directory, tmp_path, barrier, answers)
    workers = [context.Process(target=open_at_once, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(built for built, _ in found) == [0, 1]
    assert len({path for _, path in found}) == 1
    left = [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "checksums"]
    assert len(left) == 1


def test_a_build_that_died_leaves_nothing_that_is_used(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cache, "build", dies)
        with pytest.raises(KeyboardInterrupt):
            cache.ensure_index(recorded.directory, tmp_path)
    assert not list(tmp_path.glob("*/index.sqlite"))
    assert open_index(cache.ensure_index(recorded.directory, tmp_path)).end > 0


def test_a_changed_file_gets_another_index_and_another_digest(recorded: Recorded, tmp_path: Path) -> None:
    copy = tmp_path / "Scenario-16"
    shutil.copytree(recorded.directory, copy)
    indexes = tmp_path / "indexes"
    before = cache.ensure_index(copy, indexes), cache.content_digest(copy, indexes)
    (copy / "ground_truth.yaml").write_text("groups: []")
    assert (cache.ensure_index(copy, indexes), cache.content_digest(copy, indexes)) == before
    with open(copy / "k8s_events_raw.tsv", "a") as events:
        events.write("torn\n")
    after = cache.ensure_index(copy, indexes), cache.content_digest(copy, indexes)
    assert after[0] != before[0]
    assert after[1] != before[1]
    (problem,) = open_index(after[0]).problems()
    assert problem.where.startswith("k8s_events_raw.tsv:")


def test_checksums_of_all_evidence_are_in_the_index(recorded: Recorded) -> None:
    environment, _ = recorded.start()
    sums = environment.index.checksums()
    assert len(sums) > 40
    assert all(len(value) == 64 for value in sums.values())
    assert not any("ground_truth" in name for name in sums)


def test_the_answer_never_reaches_the_index(recorded: Recorded, tmp_path: Path) -> None:
    copy = tmp_path / "Scenario-16"
    shutil.copytree(recorded.directory, copy)
    canary = "canary-7f3a"
    for name in ("ground_truth.yaml", "status.json", "assertion.json", "raw_assertions.yaml", "gt.json"):
        (copy / name).write_text(f'{{"secret": "{canary}"}}')
    (copy / "metrics" / "ground_truth.json").write_text(canary)
    path = cache.ensure_index(copy, tmp_path / "indexes")
    assert canary.encode() not in path.read_bytes()
    assert b"shipping-deployment-1" not in path.read_bytes()
