"""`results.json`: the promised keys, the counting policy, and independence of order and executor."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.report import build_results
from tests.report.factory import experiment, handmade, plan, record, spec

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def entry(results: dict[str, Any], group: str, **wanted: object) -> dict[str, Any]:
    (found,) = [e for e in results[group] if all(e[key] == value for key, value in wanted.items())]
    return dict(found)


def test_results_of_the_handmade_experiment() -> None:
    assert build_results(*handmade()) == json.loads(golden("results.json"))


def test_the_promised_keys_are_there() -> None:
    results = build_results(*handmade())
    assert results["simulated"] is True
    assert set(results["denominators"]) == {"planned", "scored", "failed", "excluded", "owed", "spared"}
    for arm in results["arms"]:
        assert {"model", "arm", "n", "precision", "modes_per_trace", "modes_per_failed_trace"} <= set(arm)
        assert {"modes", "tokens", "cost_usd"} <= set(arm)
        assert {"mean", "low", "high"} <= set(arm["recall"])
        assert {"mean", "low", "high"} <= set(arm["remediated"])
    promised = {"model", "arm", "reference", "metric", "estimate", "low", "high", "p_value", "scenarios"}
    assert all(promised <= set(contrast) for contrast in results["contrasts"])


def test_order_of_records_does_not_matter() -> None:
    frozen, records = experiment(scenarios=12)
    shuffled = random.Random(2).sample(records, len(records))
    assert build_results(frozen, records) == build_results(frozen, shuffled)


def test_wall_clock_and_trace_location_leave_no_mark() -> None:
    frozen, records = handmade()
    elsewhere = [r.model_copy(update={"wall_seconds": 9.0, "trace": None}) for r in records]
    assert build_results(frozen, records) == build_results(frozen, elsewhere)


def test_numbers_of_an_arm_by_hand() -> None:
    records = [
        record(spec(2), recall=1, modes={"derailment": "absent"}),
        record(spec(2, repeat=1), status="failed", reason="no_output", modes={"derailment": "present"}),
        record(spec(3), recall=1, modes={"derailment": "cannot_tell", "history_loss": "present"}),
        record(spec(4), status="excluded", reason="api_error"),
    ]
    results = build_results(plan([r.spec for r in records], []), records)
    (arm,) = results["arms"]
    assert (arm["n"], arm["scenarios"], arm["recall"]["mean"]) == (3, 2, 0.75)
    assert arm["modes"] == {"derailment": 0.5, "history_loss": 1}
    assert arm["modes_n"] == {"derailment": 2, "history_loss": 1}
    assert (arm["modes_per_trace"], arm["modes_per_failed_trace"], arm["failed_traces"]) == (0.75, 1, 1)
    assert arm["exclusion_bounds"]["recall"]["as_zero"] == pytest.approx(0.5)
    assert results["denominators"] == {
        "planned": 4,
        "scored": 2,
        "failed": 1,
        "excluded": 1,
        "owed": 0,
        "spared": 0,
    }


def test_only_the_primary_metric_is_corrected_and_it_comes_first() -> None:
    frozen, records = experiment(scenarios=6)
    contrasts = build_results(frozen, records)["contrasts"]
    family = [c for c in contrasts if c["p_holm"] is not None]
    assert contrasts[: len(family)] == family
    assert {c["metric"] for c in family} == {"recall"}
    assert len(family) == 3 * 4
    assert all(c["p_holm"] >= c["p_value"] for c in family)


def test_planted_failures_are_counted_for_simulated_models_only() -> None:
    real = record(spec(2), recall=0, simulated=False, modes={"derailment": "present"})
    results = build_results(plan([real.spec], []), [real])
    assert results["simulated"] is False
    assert results["arms"][0]["planted_modes_per_failed_trace"] is None


def test_a_mixed_run_says_which_models_are_simulated() -> None:
    records = [record(spec(2, model="sim_a")), record(spec(2, model="gpt"), simulated=False)]
    results = build_results(plan([r.spec for r in records], []), records)
    assert results["simulated_models"] == ["sim_a"]
    assert entry(results, "arms", model="gpt")["simulated"] is False


def test_nothing_done_yet_is_a_result_too() -> None:
    frozen, _ = handmade()
    results = build_results(frozen, [])
    assert results["denominators"]["owed"] == 40
    assert all(arm["recall"]["mean"] is None for arm in results["arms"])
    assert results["answer"][0] == "Preliminary: 40 of 40 trials are still owed."


def test_one_scenario_gives_no_interval_and_claims_nothing() -> None:
    records = [record(spec(2), recall=0), record(spec(2, arm="verifier_gate"), recall=1)]
    results = build_results(plan([r.spec for r in records], [("verifier_gate", "baseline")]), records)
    found = entry(results, "contrasts", metric="recall")
    assert (found["estimate"], found["low"], found["high"], found["p_value"]) == (1, None, None, 1)
    assert "none of the 1 declared contrast" in results["answer"][1]


def test_reliability_uses_one_k_for_all_arms() -> None:
    trials = [spec(n, arm=arm, repeat=r) for arm in ("baseline", "gate") for n in (2, 3) for r in (0, 1)]
    excluded = record(trials[-1], status="excluded", reason="api_error")
    arms = build_results(plan(trials, []), [*map(record, trials[:-1]), excluded])["arms"]
    assert [(arm["reliability"]["k"], arm["reliability"]["scenarios"]) for arm in arms] == [(2, 2), (2, 1)]


def test_an_unknown_primary_metric_is_refused() -> None:
    frozen = handmade()[0].model_copy(update={"primary_metric": "vibes"})
    with pytest.raises(ConfigurationError, match=r"primary_metric: 'vibes' is no metric"):
        build_results(frozen, [])
