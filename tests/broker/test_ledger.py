"""The ledger: what was spent before a kill counts after it. Replies: what was paid is not paid again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.broker.accounts import Accounts, caps
from harness.broker.config import MoneyConfig, OutageConfig
from harness.broker.core import Ask, Broker, Refusal, Settings
from harness.broker.desk import Desk, FileJournal
from harness.broker.ledger import Ledger, Noticed, Reserved, Settled, accounts_from
from harness.broker.meters import Meters, Payer, TrialMeter
from harness.broker.replies import Replies
from harness.errors import AgentError, ConfigurationError, Postponed
from harness.models.failures import Failure
from harness.models.kept import pack, unpack
from harness.models.meter import Claim
from harness.protocols import ModelReply, RequestedCall
from harness.records import Usage

RESERVED = Reserved("c1", "agent", "t1", "baseline", "gpt", 0.5)
REPLY = ModelReply(
    "text",
    (RequestedCall("a", "b", "{}"),),
    "why",
    Usage(calls=1, input_tokens=9, cost_usd=0.25),
    "stop",
    1.5,
)


def lines(run: Path) -> int:
    return len((run / "spending.jsonl").read_bytes().splitlines())


def test_what_a_killed_process_left_open_counts_in_full(tmp_path: Path) -> None:
    Ledger(tmp_path).append([RESERVED, Settled("c1", 0.2), RESERVED])
    again = Ledger(tmp_path)
    spending, left = again.open()
    assert [call.call for call in left] == ["c1"]
    assert spending.total == pytest.approx(0.7)
    assert spending.unconfirmed_usd == 0.5
    again.close()
    assert Ledger(tmp_path).read().total == pytest.approx(0.7), "counted once"


@pytest.mark.parametrize("cut", range(1, 30, 7))
def test_a_torn_last_line_is_no_line(tmp_path: Path, cut: int) -> None:
    Ledger(tmp_path).append([RESERVED, Settled("c1", 0.2)])
    file = tmp_path / "spending.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    again = Ledger(tmp_path)
    spending, left = again.open()
    again.close()
    assert len(left) == 1
    assert spending.total == 0.5
    assert lines(tmp_path) == 2


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    Ledger(tmp_path).append([RESERVED])
    with open(tmp_path / "spending.jsonl", "ab") as file:
        file.write(b'{"type":"settled","call":"nobody","usd":1}\n')
    with pytest.raises(ConfigurationError, match=r"spending.jsonl:2"):
        Ledger(tmp_path).read()


def test_spending_is_told_by_purpose_model_and_arm(tmp_path: Path) -> None:
    judged = Reserved("j1", "judge", "t1", "", "gpt-judge", 0.1)
    notice = Noticed(1.0, "openai does not answer")
    Ledger(tmp_path).append([RESERVED, judged, notice, Settled("c1", 0.2, 10, 5), Settled("j1", 0.05)])
    spending = Ledger(tmp_path).read()
    assert spending.of("agent") == 0.2
    assert spending.of("judge") == 0.05
    assert spending.tokens["agent", "gpt", "baseline"] == 15
    assert spending.notices == [notice]
    accounts = accounts_from({}, spending)
    assert accounts.spent["experiment"] == pytest.approx(0.25)
    assert accounts.spent["judge"] == 0.05
    assert accounts.spent["arm baseline"] == 0.2


def test_one_process_spends_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.broker.ledger.LOCK_WAIT_S", 0.1)
    first = Ledger(tmp_path)
    first.open()
    with pytest.raises(ConfigurationError, match="another process"):
        Ledger(tmp_path).open()
    first.close()
    second = Ledger(tmp_path)
    second.open()
    second.close()


# --- the desk ---------------------------------------------------------------------------------------------


def desk(run: Path, usd: float | None = None, notices: list[str] | None = None) -> Desk:
    money = MoneyConfig(usd=usd)
    broker = Broker(Settings(money, {}, OutageConfig()), Accounts(caps(money)))
    told = notices if notices is not None else []
    replies = Replies(run / "responses.sqlite", told.append)
    return Desk(broker, FileJournal(Ledger(run)), replies, told.append)


def payer(trial: str = "t1", repeat: int = 0, **limits: float) -> Payer:
    return Payer("agent", trial, "baseline", "gpt", "openai", repeat, **limits)


def test_a_reservation_is_on_disk_before_its_call_is_made(tmp_path: Path) -> None:
    async def play() -> None:
        meter = Meters(desk(tmp_path)).of(payer())
        await meter.permit(Claim(10, 0.5))
        (open_call,) = Ledger(tmp_path).read().open.values()
        assert open_call.usd == 0.5

    asyncio.run(play())


def test_many_calls_share_few_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    append = Ledger.append
    monkeypatch.setattr(Ledger, "append", lambda self, new: (writes.append(len(new)), append(self, new))[1])

    async def play() -> None:
        at = desk(tmp_path)
        meters = Meters(at)
        permits = [meters.of(payer(f"t{n}")).permit(Claim(10, 0.5, f"content {n}")) for n in range(500)]
        for permit in await asyncio.gather(*permits):
            permit.answered(REPLY)
        await at.close()

    asyncio.run(play())
    assert sum(writes) == 1000
    assert len(writes) < 10


def test_the_same_request_of_the_same_repeat_is_paid_once(tmp_path: Path) -> None:
    async def play() -> None:
        at = desk(tmp_path)
        meters = Meters(at)
        first = await meters.of(payer("t1")).permit(Claim(10, 0.5, "question"))
        assert first.known is None
        first.answered(REPLY)
        other = await meters.of(payer("t2")).permit(Claim(10, 0.5, "question"))
        assert other.known is not None
        assert other.known.text == REPLY.text
        assert other.known.usage.recalled_usd == other.known.usage.cost_usd == 0.25
        repeat = await meters.of(payer("t3", repeat=1)).permit(Claim(10, 0.5, "question"))
        assert repeat.known is None, "repeats stay independent"
        else_ = await meters.of(payer("t2")).permit(Claim(10, 0.5, "another question"))
        assert else_.known is None
        await at.close()

    asyncio.run(play())


def test_a_reply_survives_its_way_through_the_cache() -> None:
    again = unpack(pack(REPLY))
    used = REPLY.usage.model_copy(update={"recalled_calls": 1, "recalled_usd": 0.25})
    assert again == ModelReply(REPLY.text, REPLY.calls, REPLY.reasoning, used, REPLY.finish, REPLY.latency_s)


def test_a_cache_that_cannot_be_read_is_told_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "responses.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    notices: list[str] = []
    replies = Replies(tmp_path / "responses.sqlite", notices.append)
    assert replies.get("ab") is None
    replies.put("ab", b"x")
    assert len(notices) == 1
    assert "is not used" in notices[0]


def test_a_trials_own_caps_stop_it_before_it_overspends(tmp_path: Path) -> None:
    async def play() -> None:
        at = desk(tmp_path)
        meter = Meters(at).of(payer(trial_usd=1.0, call_usd=0.6))
        with pytest.raises(AgentError, match="call_usd=0"):
            await meter.permit(Claim(10, 0.7))
        first = await meter.permit(Claim(10, 0.6))
        with pytest.raises(AgentError, match="usd=1"):
            await meter.permit(Claim(10, 0.5))
        first.answered(REPLY)
        second = await meter.permit(Claim(10, 0.5))
        await second.failed(Failure("request", "no", 400))
        assert meter.usd == pytest.approx(0.25)
        third = await meter.permit(Claim(10, 0.5))
        third.lost()
        assert meter.usd == pytest.approx(0.75), "nobody knows what it cost"
        await at.close()

    asyncio.run(play())


def test_a_refusal_is_remembered_so_that_nothing_is_begun(tmp_path: Path) -> None:
    async def play() -> None:
        at = desk(tmp_path, usd=0.1)
        meters = Meters(at)
        with pytest.raises(Postponed) as refused:
            await meters.of(payer()).permit(Claim(10, 0.5))
        assert refused.value.everything
        with pytest.raises(Postponed):
            meters.require(payer("t2"))
        await at.close()

    asyncio.run(play())


def test_a_disk_that_takes_nothing_stops_all_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Ledger, new: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Ledger, "append", refuse)

    async def play() -> None:
        at = desk(tmp_path)
        with pytest.raises(Postponed, match="cannot be written down"):
            await Meters(at).of(payer()).permit(Claim(10, 0.5))
        answer = await at.admit(Ask("x", "agent", "t", "a", "gpt", "openai", 1, 0.0))
        assert isinstance(answer, Refusal)
        await at.close()

    asyncio.run(play())


def test_cancelling_a_waiting_call_gives_its_money_back(tmp_path: Path) -> None:
    async def play() -> None:
        at = desk(tmp_path, usd=1.0)
        meters = Meters(at)
        first = await meters.of(payer()).permit(Claim(10, 0.9))
        waiting = asyncio.create_task(wait_for(meters.of(payer("t2"))))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        first.answered(REPLY)
        await meters.of(payer("t3")).permit(Claim(10, 0.7))
        await at.close()

    async def wait_for(meter: TrialMeter) -> None:
        await meter.permit(Claim(10, 0.9))

    asyncio.run(play())


def test_calls_of_a_lost_worker_count_as_spent_and_free_their_place(tmp_path: Path) -> None:
    async def play() -> None:
        at = desk(tmp_path, usd=1.0)
        meters = Meters(at)
        await meters.of(payer("t1")).permit(Claim(10, 0.4))
        at.abandoned({"t1"})
        await meters.of(payer("t2")).permit(Claim(10, 0.6))
        await at.close()
        assert Ledger(tmp_path).read().unconfirmed_usd == 0.4

    asyncio.run(play())
