"""What a run cost, over all attempts and by whom: the ledger, discarded attempts, the response cache and the judge.

Owns: one entry of `results.json`. Costs of trials, which arms are compared by, are elsewhere (`metrics`): they count
each call at its price, whether it was paid in this run or recalled. Nothing here for runs in which no call cost
anything and no discarded attempt called a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.broker.accounts import JUDGE
from harness.broker.ledger import Ledger, Spending
from harness.judging import Judged, read
from harness.records import Interrupted, TrialRecord
from harness.store import RunDirectory


def spending_entry(run: Path, records: Sequence[TrialRecord]) -> dict[str, Any] | None:
    """Money, cache hits and the judge; None where nothing was spent, recalled, judged or discarded."""
    spending, judged = Ledger(run).read(), read(run)
    recalled = sum(record.usage.recalled_calls for record in records)
    discarded = _discarded(RunDirectory(run).interrupted(), records)
    if not (spending.calls or spending.open or spending.notices or recalled or judged or discarded["calls"]):
        return None
    return {
        "usd": spending.total + sum(call.usd for call in spending.open.values()),
        "agents_usd": spending.total - spending.of(JUDGE),
        "judge_usd": spending.of(JUDGE),
        "unconfirmed_usd": spending.unconfirmed_usd,
        "unconfirmed_calls": spending.unconfirmed_calls,
        "under_way_usd": sum(call.usd for call in spending.open.values()),
        "recalled_calls": recalled,
        "recalled_usd": sum(record.usage.recalled_usd for record in records),
        "discarded": discarded,
        "accounts": _accounts(spending),
        "judge": _judge_entry([*judged.values()]) if judged else None,
        "notices": [notice.text for notice in spending.notices],
    }


def spending_lines(entry: Mapping[str, Any]) -> list[str]:
    """The entry in sentences for people."""
    lines = [f"${entry['usd']:.4f} spent: agents ${entry['agents_usd']:.4f}, judge ${entry['judge_usd']:.4f}"]
    lines[0] += (
        f", reserved for calls under way ${entry['under_way_usd']:.4f}." if entry["under_way_usd"] else "."
    )
    if entry["unconfirmed_calls"]:
        unconfirmed = f"${entry['unconfirmed_usd']:.4f} of it for {entry['unconfirmed_calls']} calls"
        lines.append(f"Unconfirmed: {unconfirmed} that nobody answered for, counted at their worst case.")
    if entry["recalled_calls"]:
        what = f"{entry['recalled_calls']} replies were taken from the response cache"
        lines.append(f"{what}; ${entry['recalled_usd']:.4f} did not have to be paid again.")
    if (lost := entry["discarded"])["attempts"]:
        what = f"{lost['attempts']} attempts that do not count (interrupted, or followed by another one) took"
        lines.append(
            f"{what} {lost['calls']} calls and {lost['tokens']} tokens, at their price ${lost['usd']:.4f}."
        )
    if (judge := entry["judge"]) is not None:
        unreached = f" ({judge['unreached']} of them not reached)" if judge["unreached"] else ""
        asked = f"{judge['calls']} calls, {judge['tokens']} tokens, ${judge['usd']:.4f}"
        lines.append(f"Judge: {judge['traces']} traces{unreached}, {judge['labels']} labels, {asked}.")
    return lines + [f"Noticed: {text}." for text in entry["notices"]]


def _accounts(spending: Spending) -> list[dict[str, Any]]:
    """By purpose, model and arm."""
    return [
        {
            **dict(zip(("purpose", "model", "arm"), key, strict=True)),
            "usd": spending.usd[key],
            "calls": spending.calls[key],
            "tokens": spending.tokens[key],
        }
        for key in sorted(spending.calls)
    ]


def _discarded(interrupted: Sequence[Interrupted], records: Sequence[TrialRecord]) -> dict[str, Any]:
    """What attempts consumed that no trial's numbers contain. A lost worker's is in both: counted where its calls
    are known."""
    known = {one.trial_id for one in interrupted}
    usages = [one.usage for one in interrupted]
    usages += [
        attempt.usage
        for record in records
        for attempt in record.earlier
        if attempt.reason != "infra_worker_lost" or record.spec.trial_id not in known
    ]
    return {
        "attempts": len(usages),
        "calls": sum(usage.calls for usage in usages),
        "tokens": sum(usage.input_tokens + usage.output_tokens for usage in usages),
        "usd": sum(usage.cost_usd for usage in usages),
    }


def _judge_entry(judged: Sequence[Judged]) -> dict[str, Any]:
    return {
        "traces": len(judged),
        "unreached": sum(one.unreached for one in judged),
        "labels": sum(len(one.labels) for one in judged),
        "missing": sum(len(one.missing) for one in judged),
        "calls": sum(one.usage.calls for one in judged),
        "tokens": sum(one.usage.input_tokens + one.usage.output_tokens for one in judged),
        "usd": sum(one.usage.cost_usd for one in judged),
        "recalled_usd": sum(one.usage.recalled_usd for one in judged),
    }
