"""The search: its steps in order, resumption, stopping, the split, and what the page says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness import experiment
from harness.closed_loop import loop
from harness.closed_loop.ledger import Entry, Ledger, read_entries
from harness.closed_loop.loop import Found, search_all
from harness.closed_loop.ranking import rank_modes, worth_trying
from harness.config import ExperimentConfig
from harness.errors import ConfigurationError, RunStopped
from tests.forks.test_forks import CLUMSY

SMALL: dict[str, Any] = {
    "name": "search",
    "question": "Which stack helps?",
    "scenario": [16, 20],
    "agents": {"react": {"kind": "react"}},
    "models": {"clumsy": CLUMSY},
    "arms": {"baseline": []},
    "repeats": 1,
    "executor": {"kind": "local"},
    "stopping": {"rule": "sequential", "alpha": 0.99, "batch": 2, "futility": 0},
    "closed_loop": {
        "held_out": [24],
        "modes": 1,
        "finalists": 1,
        "screen_trials": 2,
        "screen_repeats": 1,
        "tests": 1,
    },
}


def config(path: Path, **changes: Any) -> ExperimentConfig:
    return ExperimentConfig.model_validate(SMALL | {"run_dir": str(path)} | changes)


def search(path: Path, **changes: Any) -> Found:
    (found,) = search_all(config(path, **changes))
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A search in which the first finalist is kept, whatever it does: its steps are what is looked at."""
    path = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        keep_everything(patch)
        return search(path)


def keep_everything(patch: pytest.MonkeyPatch) -> None:
    confirm, screen = loop.confirm, loop.screen

    def kept(*arguments: Any) -> Entry:
        entry = confirm(*arguments)
        return entry.model_copy(update={"evidence": {**entry.evidence, "kept": True}})

    def screened(*arguments: Any) -> Entry:
        entry = screen(*arguments)
        first = arguments[-1][:1]
        return entry.model_copy(update={"evidence": {**entry.evidence, "finalists": first}})

    patch.setattr(loop, "confirm", kept)
    patch.setattr(loop, "screen", screened)


def test_the_steps_come_in_order_and_end_with_the_held_out_test(whole: Found) -> None:
    steps = [entry.step for entry in whole.entries]
    assert steps == ["baseline", "ranking", "lookup", "screening", "confirmation", "stop", "held_out"]
    assert len(whole.stack) == 1
    assert whole.entries[-1].subject == whole.stack[0]
    assert "as many as the level allows" in whole.entries[-2].decision


def test_every_entry_with_trials_names_its_run(whole: Found) -> None:
    for entry in whole.entries:
        if entry.trials:
            assert entry.run is not None
            lines = (whole.page.parent / entry.run / "records.jsonl").read_bytes().splitlines()
            assert len(lines) == entry.trials


def test_held_out_scenarios_are_seen_only_by_the_last_step(whole: Found) -> None:
    for entry in whole.entries[:-1]:
        if entry.run is not None:
            records = (whole.page.parent / entry.run / "records.jsonl").read_text()
            assert "/24" not in records
    assert whole.entries[-1].evidence["contrasts"]["recall"]["scenarios"] == 1


def test_the_page_names_every_decision_and_says_that_it_is_simulated(whole: Found) -> None:
    page = whole.page.read_text()
    assert "Simulated." in page
    for entry in whole.entries:
        assert entry.decision in page


def test_a_stopped_search_goes_on_behind_its_last_whole_entry(
    whole: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_everything(monkeypatch)

    def stopped(*arguments: Any) -> Entry:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "confirm", stopped)
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path)
    file = tmp_path / "clumsy-react" / "ledger.jsonl"
    assert len(read_entries(file)) == 4
    with open(file, "ab") as lines:
        lines.write(b'{"number": 4, "step": "confir')
    monkeypatch.setattr(loop, "screen", stopped)  # what was decided is not decided again
    again = search(tmp_path)
    assert [entry.model_dump() for entry in again.entries] == [entry.model_dump() for entry in whole.entries]


def test_a_step_that_was_told_to_stop_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "run_owed", lambda *_: ())
    with pytest.raises(RunStopped, match="2 trials owed"):
        search(tmp_path)
    assert read_entries(tmp_path / "clumsy-react" / "ledger.jsonl") == []


def test_a_changed_split_is_refused_by_a_begun_search(whole: Found) -> None:
    run_dir = whole.page.parent.parent
    rules = SMALL["closed_loop"] | {"held_out": [30]}
    with pytest.raises(ConfigurationError, match="held_out"):
        search(run_dir, closed_loop=rules)


def test_a_held_out_scenario_that_is_also_for_development_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="20 are development scenarios too"):
        search(tmp_path, closed_loop=SMALL["closed_loop"] | {"held_out": [20, 24]})
    assert not list(tmp_path.iterdir())


def test_a_step_does_not_count_when_the_scorer_was_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = iter(["before", "after"])
    monkeypatch.setattr(loop, "locked_digest", lambda: next(digests))
    with pytest.raises(ConfigurationError, match="the step does not count"):
        search(tmp_path, scenario=[16])
    assert read_entries(tmp_path / "clumsy-react" / "ledger.jsonl") == []


def test_the_budget_in_trials_stops_the_search(tmp_path: Path) -> None:
    found = search(tmp_path, scenario=[16], closed_loop=SMALL["closed_loop"] | {"trials": 4})
    assert [entry.step for entry in found.entries] == ["baseline", "stop"]
    assert "may need 4 of 4" in found.entries[-1].decision


def test_a_ledger_of_another_search_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, {"locked": "a"})
    ledger.decide("baseline", "x", lambda: Entry(step="baseline", subject="x", decision="."))
    with pytest.raises(ConfigurationError, match="another process"):
        Ledger(tmp_path, {"locked": "a"})
    ledger.close()
    again = Ledger(tmp_path, {"locked": "a"})
    with pytest.raises(ConfigurationError, match="expected stop of x"):
        again.decide("stop", "x", lambda: Entry(step="stop", subject="x", decision="."))
    again.close()


def test_modes_are_ranked_by_what_they_cost_and_unknown_ones_come_last() -> None:
    n = 60
    deadly = [float(place % 2) for place in range(n)]
    rows = pd.DataFrame(
        {
            "scenario": [f"s{place // 6}" for place in range(n)],
            "recall": [1 - value for value in deadly],
            "mode_step_repetition": deadly,
            "mode_derailment": [float(place % 3 == 0) for place in range(n)],
            "mode_history_loss": [1.0] * n,
        }
    )
    ranked = rank_modes(rows, "recall")
    assert [one["slug"] for one in ranked] == ["step_repetition", "derailment", "history_loss"]
    assert ranked[0]["burden"] == pytest.approx(0.5)
    assert ranked[2]["burden"] is None
    assert [one["slug"] for one in worth_trying(ranked, 1)] == ["step_repetition"]
