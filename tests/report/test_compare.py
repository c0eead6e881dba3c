"""Comparing runs: paired by seed, paired by scenario, refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.records import Plan, TrialRecord
from harness.report.compare import compare, print_comparison
from harness.store import RunDirectory
from tests.report.factory import experiment, plan, record, spec


def write(path: Path, frozen: Plan, records: list[TrialRecord], **changes: Any) -> Path:
    run = RunDirectory(path)
    run.open_for_writing(frozen.model_copy(update=changes))
    run.append([(one, b"") for one in records])
    run.close()
    return path


def runs(model: str, recall: float, seeds: int = 0, scenarios: int = 6) -> tuple[Plan, list[TrialRecord]]:
    records = []
    for scenario in range(1, scenarios + 1):
        for repeat in (0, 1):
            one = spec(scenario, model, repeat=repeat)
            one = one.model_copy(update={"seed": one.seed + seeds})
            records.append(record(one, recall=recall if scenario % 2 else 0.0))
    return plan([one.spec for one in records], []), records


def entry(found: dict[str, Any], metric: str = "recall") -> dict[str, Any]:
    (one,) = [entry for entry in found["comparisons"][0]["entries"] if entry["metric"] == metric]
    return dict(one)


def test_runs_of_the_same_seeds_are_paired_by_trial(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a", *runs("m", 0.0)), write(tmp_path / "b", *runs("m", 1.0))
    found = entry(compare([before, after]))
    assert (found["estimate"], found["pairs"], found["paired_by"]) == (0.5, 12, "scenario, repeat and seed")


def test_runs_of_other_seeds_are_paired_by_scenario(tmp_path: Path) -> None:
    before, after = write(tmp_path / "a", *runs("m", 0.0)), write(tmp_path / "b", *runs("m", 1.0, seeds=7))
    found = entry(compare([before, after]))
    assert (found["estimate"], found["pairs"], found["paired_by"]) == (0.5, 6, "scenario (other seeds)")


def test_one_model_each_is_compared_across_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = write(tmp_path / "a", *runs("m", 0.0)), write(tmp_path / "b", *runs("n", 1.0))
    found = compare([before, after])
    assert (entry(found)["model"], entry(found)["reference_model"]) == ("n", "m")
    print_comparison(found)
    told = capsys.readouterr().out
    assert "n − m" in told
    assert "SIMULATED" in told


def test_swapping_the_runs_changes_the_sign(tmp_path: Path) -> None:
    one = write(tmp_path / "a", *experiment(models=["m"], scenarios=12, seed=1))
    two = write(tmp_path / "b", *experiment(models=["m"], scenarios=12, seed=2))
    there, back = compare([one, two]), compare([two, one])
    for here, other in zip(
        there["comparisons"][0]["entries"], back["comparisons"][0]["entries"], strict=True
    ):
        assert here["estimate"] == pytest.approx(-other["estimate"])
        assert here["p_value"] == other["p_value"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": {"environment": {"kind": "snapshot"}}}, "environment differs"),
        ({"config": {"verdict": {"passes": 9}}}, "verdict differs"),
        ({"hashes": {"scenarios": "other"}}, "another content"),
    ],
)
def test_outcomes_that_mean_something_else_are_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    frozen, records = runs("m", 1.0)
    before, after = write(tmp_path / "a", frozen, records), write(tmp_path / "b", frozen, records, **changes)
    (found,) = compare([before, after])["comparisons"]
    assert found["entries"] == []
    assert reason in found["refused"][0]["reason"]


def test_modes_under_another_taxonomy_are_refused_alone(tmp_path: Path) -> None:
    frozen, records = runs("m", 1.0)
    changed = {**frozen.hashes, "taxonomy": "new"}
    before, after = (
        write(tmp_path / "a", frozen, records),
        write(tmp_path / "b", frozen, records, hashes=changed),
    )
    (found,) = compare([before, after])["comparisons"]
    assert {one["metric"] for one in found["entries"]} == {"recall", "remediated", "tokens"}
    assert found["refused"][0]["what"] == "modes_per_trace"
    assert any(text.startswith("hashes.taxonomy") for text in found["differs"])


def test_what_only_one_run_has_is_named(tmp_path: Path) -> None:
    one = write(tmp_path / "a", *experiment(models=["m"], arms=["baseline"], scenarios=3))
    two = write(tmp_path / "b", *experiment(models=["m"], arms=["baseline", "placebo"], scenarios=3))
    (found,) = compare([one, two])["comparisons"]
    assert [one["what"] for one in found["refused"] if "no such" in one["reason"]] == ["m, react, placebo"]


def test_wrong_input_is_named(tmp_path: Path) -> None:
    one = write(tmp_path / "a", *runs("m", 1.0))
    with pytest.raises(ConfigurationError, match="at least two"):
        compare([one])
    with pytest.raises(ConfigurationError, match="no run is stored here"):
        compare([one, tmp_path / "none"])
    empty = write(tmp_path / "b", runs("m", 1.0)[0], [])
    with pytest.raises(ConfigurationError, match="no trial of this run has finished"):
        compare([one, empty])
