"""The judge in an experiment: after the trials, resumable, on an account of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config import ExperimentConfig
from harness.errors import ConfigurationError
from harness.experiment import Judging, judge
from harness.judging import FILE, read, with_judgements
from harness.report.spending import spending_entry, spending_lines
from harness.runner import preflight
from harness.store import RunDirectory
from tests.broker.budgeted import arguments, configured, run_in_process
from tests.openai_server import BEHAVIOURS, Answer, Json, OpenAIServer, error, tool_call


def says_no(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A judge that finds nothing."""
    answers = body["tools"][0]["function"]["parameters"]["properties"]["answers"]
    said = [
        {"slug": slug, "present": "no", "spans": [], "reason": "nothing of it"}
        for slug in answers["items"]["properties"]["slug"]["enum"]
    ]
    return tool_call(body, "report", json.dumps({"answers": said, "ledger": ""}))


def breaks(server: OpenAIServer, body: Json, count: int) -> Answer:
    """A judge that cannot be reached: no request of the harness is at fault."""
    return error(418, "no tea today")


BEHAVIOURS |= {"says_no": says_no, "breaks": breaks}


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with pytest.MonkeyPatch.context() as patch, OpenAIServer() as running:
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture(scope="module")
def run(server: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three finished trials; tests add judgements and remove them again."""
    directory = tmp_path_factory.mktemp("judged") / "run"
    assert not run_in_process(judged_by(server, directory, judge="none"))
    return directory


@pytest.fixture(autouse=True)
def unjudged(run: Path) -> Iterator[None]:
    yield
    (run / FILE).unlink(missing_ok=True)


def judged_by(server: OpenAIServer, run: Path, **more: Any) -> ExperimentConfig:
    given = {
        "repeats": 1,
        "responses": "off",
        "judge": "openai_compatible",
        "judging.samples": 1,
    } | more
    if given["judge"] != "none":
        there = {"judge.api_base": server.api_base, "judge.model": "openai/says_no"}
        prices = {"judge.prices.input": 1.0, "judge.prices.output": 5.0, "judge.max_retries": 0}
        given = given | there | prices | more
    return configured(arguments(server, run, **given))


def judged(config: ExperimentConfig) -> Judging:
    return judge(config, RunDirectory(config.directory))


def test_every_trace_is_judged_once_and_its_labels_join_the_detectors(
    server: OpenAIServer, run: Path
) -> None:
    config = judged_by(server, run)
    assert judged(config) == Judging()
    asked = len(server.requests)
    records = RunDirectory(run).records()
    assert {*read(run)} == {record.spec.trial_id for record in records}
    joined = with_judgements(run, records)
    assert all(any(label.source.startswith("judge:says_no") for label in one.labels) for one in joined)

    assert judged(config) == Judging()
    assert len(server.requests) == asked, "nothing was owed"

    one, *rest = (run / FILE).read_bytes().splitlines(keepends=True)
    (run / FILE).write_bytes(b"".join(rest) + one[:40])
    assert judged(config) == Judging()
    assert len(read(run)) == 3
    assert 0 < len(server.requests) - asked < asked, "only the torn one was owed"


def test_what_the_judge_costs_is_counted_apart(server: OpenAIServer, run: Path) -> None:
    before = spending_entry(run, RunDirectory(run).records())
    assert before is not None
    judged(judged_by(server, run))
    after = spending_entry(run, RunDirectory(run).records())
    assert after is not None
    assert after["agents_usd"] == pytest.approx(before["agents_usd"])
    assert after["agents_usd"] > 0
    assert after["judge_usd"] > before["judge_usd"]
    assert after["judge_usd"] - before["judge_usd"] == pytest.approx(after["judge"]["usd"])
    assert any(line.startswith("Judge: 3 traces, ") for line in spending_lines(after))


def test_the_judges_own_cap_leaves_traces_owed_until_it_is_raised(server: OpenAIServer, run: Path) -> None:
    spent = spending_entry(run, RunDirectory(run).records())
    assert spent is not None
    first = judged(judged_by(server, run, **{"money.judge_usd": spent["judge_usd"] + 0.02}))
    assert 0 < first.owed <= 3
    assert "money.judge_usd" in first.postponed[0]
    assert judged(judged_by(server, run, **{"money.judge_usd": spent["judge_usd"] + 5})) == Judging()


def test_a_judge_that_cannot_be_reached_leaves_traces_owed(server: OpenAIServer, run: Path) -> None:
    assert judged(judged_by(server, run, **{"judge.model": "openai/breaks"})).owed == 3
    assert all(one.missing for one in read(run).values())
    assert judged(judged_by(server, run)) == Judging()
    assert not any(one.unreached for one in read(run).values())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"judge.model": "nothing"}, "judge.model"),
        ({"+judge.frobnicate": 1}, "judge.frobnicate"),
        ({"judging.samples": 0}, "judging.samples"),
        ({"judge.prices.input": "null", "money.usd": 1}, "judge.prices"),
        ({"judge.api_key_env": "NO_SUCH_KEY_ANYWHERE"}, "judge.api_key_env"),
    ],
)
def test_a_judge_that_could_never_answer_is_refused_before_any_trial(
    server: OpenAIServer, tmp_path: Path, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        preflight(judged_by(server, tmp_path / "run", **more))
    assert told in str(refused.value)
