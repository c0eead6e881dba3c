"""What the broker costs: CPU per paid call, beside what litellm takes for the same call without a network.

    python benchmarks/broker.py [--calls 5000] [--in-flight 200]

A call is one that costs money under a cap and a rate limit: claimed, reserved in the ledger (fsync), answered,
settled, its reply kept. litellm answers itself (`mock_response`), so nothing is sent. Exit code 1 where the broker
takes more than a twentieth of what litellm takes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from harness.broker.accounts import caps
from harness.broker.config import MoneyConfig, OutageConfig, RateConfig
from harness.broker.core import Broker, Settings
from harness.broker.desk import Desk, FileJournal
from harness.broker.ledger import Ledger, accounts_from
from harness.broker.meters import Meters, Payer
from harness.broker.replies import FILE, Replies
from harness.models.meter import Claim
from harness.protocols import ModelReply
from harness.records import Usage

BAR = 0.05
REPLY = ModelReply(text="x" * 500, usage=Usage(calls=1, input_tokens=8000, output_tokens=200, cost_usd=0.01))


async def brokered(calls: int, in_flight: int, directory: Path) -> float:
    """CPU seconds per call of the broker and its ledger."""
    money = MoneyConfig(usd=1e6, arms={"gate": 1e6})
    settings = Settings(money, {"model": RateConfig(requests_per_minute=10**9)}, OutageConfig())
    ledger = Ledger(directory)
    spending, _ = ledger.open()
    replies = Replies(directory / FILE, print)
    desk = Desk(Broker(settings, accounts_from(caps(money), spending)), FileJournal(ledger), replies, print)
    meters, numbers = Meters(desk), iter(range(calls))

    async def lane(lane: int) -> None:
        meter = meters.of(Payer("agent", f"trial-{lane}", "gate", "model", "provider", trial_usd=1e5))
        for number in numbers:
            permit = await meter.permit(Claim(9000, 0.02, f"{number:064x}"))
            await asyncio.sleep(0)
            permit.answered(REPLY)

    began = time.process_time()
    await asyncio.gather(*(lane(number) for number in range(in_flight)))
    await desk.close()
    spent = time.process_time() - began
    replies.close()
    ledger.close()
    return spent / calls


async def through_litellm(calls: int) -> float:
    """CPU seconds per call of litellm alone."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its price table
    import litellm

    async def ask() -> None:
        messages = [{"role": "user", "content": "x" * 8000}]
        await litellm.acompletion("openai/gpt-4o", messages=messages, mock_response="x" * 500)

    await ask()
    began = time.process_time()
    for _ in range(calls):
        await ask()
    return (time.process_time() - began) / calls


def main() -> None:
    """Measure both, one after the other, in this process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as directory:
        broker = asyncio.run(brokered(given.calls, given.in_flight, Path(directory)))
    peer = asyncio.run(through_litellm(given.calls // 20))
    says = "met" if broker <= BAR * peer else "NOT met"
    print(f"broker  {1000 * broker:.3f} ms CPU per call, {given.in_flight} in flight")
    print(f"litellm {1000 * peer:.3f} ms CPU per call, without a network")
    print(f"broker / litellm {broker / peer:.3f}, bar <= {BAR}: {says} (load {os.getloadavg()[0]:.1f})")
    sys.exit(0 if says == "met" else 1)


if __name__ == "__main__":
    main()
