"""A candidate that games the metric is refused: by its source, by the audit, by what its exclusions hide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import errors, trial
from harness.closed_loop import confirming
from harness.closed_loop.admission import objections, objections_in
from harness.closed_loop.audit import audit, locked_digest
from harness.closed_loop.confirming import confirm
from harness.closed_loop.lab import Lab, Measured
from harness.closed_loop.screening import look_up
from harness.config import ExperimentConfig
from harness.records import Score
from harness.trace import AssistantMessage, TraceWriter
from interventions.registry import GUARDS
from tests.forks.test_forks import CLUMSY

HERE = "tests.closed_loop.candidates"


def lab(path: Path, **changes: Any) -> Lab:
    """A small laboratory around a clumsy simulated model."""
    fields: dict[str, Any] = {
        "name": "search",
        "question": "?",
        "scenario": [16, 20],
        "agents": {"react": {"kind": "react"}},
        "models": {"clumsy": CLUMSY},
        "arms": {"baseline": []},
        "repeats": 2,
        "executor": {"kind": "local"},
        "run_dir": str(path),
        "closed_loop": {"held_out": [24], "tests": 1},
    }
    config = ExperimentConfig.model_validate(fields | changes)
    return Lab(config, "clumsy", "react", path / "clumsy-react")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    stacks = [
        (),
        ("loop_guard", "verifier_gate"),
        ("termination_fsm", "no_regression", "verifier_gate_prompt"),
    ]
    return lab(tmp_path_factory.mktemp("honest"), repeats=1).measure("honest", stacks, seed=1)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("from scenarios.loader import catalogue", "imports scenarios.loader"),
        (
            "import harness.scoring.diagnosis as d\nd.score_diagnosis = None",
            "imports harness.scoring.diagnosis",
        ),
        ("def f(operator):\n    return operator._environment.scenario", "reaches into ._environment"),
        ("def f(operator):\n    return operator.trace.events.__class__", "reaches into .__class__"),
        ("def f(operator):\n    operator.budget.turns = 99", "changes .turns"),
        ("from harness.errors import CAUSES\nCAUSES['no_output'] = None", "changes an entry"),
        ("def f(operator, name):\n    return getattr(operator, name)", "getattr"),
        ("x = open('scenarios/catalogue/16.yaml').read()", "uses open"),
        ("x = __import__('os')", "uses __import__"),
        ("x = eval('1')", "uses eval"),
        ("def f(:", "no Python"),
    ],
)
def test_source_that_reaches_out_of_what_a_guard_sees_is_refused(source: str, told: str) -> None:
    assert any(told in one for one in objections_in(source, "candidate.py"))


def test_honest_guards_are_admitted() -> None:
    # termination_fsm reads its own parameters by a computed name: harmless, but reading source cannot tell.
    assert [name for name, path in GUARDS.items() if objections(path)] == ["termination_fsm"]
    assert objections(f"{HERE}:Idle") == []
    assert objections("no.such.module:Guard")
    assert objections("loop_guard")


def test_a_refused_candidate_is_not_imported_and_the_ledger_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "oracle.py").write_text(
        "from scenarios.loader import catalogue\nraise SystemExit('imported')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    rules = {"held_out": [24], "candidates": ["oracle:Oracle", f"{HERE}:Idle"]}
    entry = look_up(lab(tmp_path, closed_loop=rules), "step_repetition", (), [])
    assert f"{HERE}:Idle" in entry.evidence["candidates"]
    assert "imports scenarios.loader" in entry.evidence["left_out"]["oracle:Oracle"]


def test_honest_records_pass_the_audit(honest: Measured) -> None:
    found = audit(honest.config, honest.run)
    assert found.trials == len(honest.records) == 6
    assert found.passed, found.differing


def test_a_scorer_that_was_changed_in_the_running_process_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perfect = Score(recall=1, precision=1, f1=1, recall_strict=1, mutation_recall=1)
    monkeypatch.setattr(trial, "score_diagnosis", lambda *_: perfect)
    found = lab(tmp_path, repeats=1).measure("gamed", [()], seed=1)
    checked = audit(found.config, found.run)
    assert len(checked.differing) == len(found.records)
    assert "score" in checked.differing[0]


def test_a_trace_that_tells_of_more_than_happened_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = TraceWriter.add

    def boasting(writer: TraceWriter, event: Any, at: float = 0.0) -> Any:
        if type(event).__name__ == "Final":
            add(writer, AssistantMessage(text="I verified that no alert fires any more."), at)
        return add(writer, event, at)

    monkeypatch.setattr(TraceWriter, "add", boasting)
    found = lab(tmp_path, repeats=1, scenario=[16]).measure("gamed", [()], seed=1)
    assert not audit(found.config, found.run).passed


def test_failures_that_a_candidate_excludes_count_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(errors.CAUSES)
    # Whatever the effect among the trials that are left seems to be, the rule is asked as if it were one.
    effect = confirming.effect
    monkeypatch.setattr(confirming, "effect", lambda *args: effect(*args) | {"favours": True})
    where = lab(tmp_path, budget={"turns": 7})
    try:
        entry = confirm(where, "gamed", (), f"{HERE}:Excuser", seed=1)
    finally:
        errors.CAUSES.update(before)
    assert not entry.evidence["kept"]
    assert "excluded trials counted against it" in entry.decision


def test_the_lock_covers_scorer_catalogue_and_classifier(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from harness.closed_loop import audit as module

    seen = {name for package in module.LOCKED for name, _ in module.contents(module.files(package), package)}
    assert {"harness/scoring/matcher.py", "harness/mast/taxonomy.py", "scenarios/loader.py"} <= seen
    assert any(name.startswith("scenarios/catalogue/") for name in seen)
    assert locked_digest() == locked_digest()
