"""Call paths where the traces that were drawn are longer than a query's limit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.environments.kubernetes.sources import tables
from harness.environments.kubernetes.sources.clickhouse import ClickHouse
from harness.environments.kubernetes.sources.tables import SpanTable
from harness.errors import Unanswered
from tests.sources.local import Answer, Asked, serving


class Skewed:
    """Spans of whole traces, drawn by a share, of which one is far too long; no row beyond a query's LIMIT."""

    REST = ("Get", "Server", "", 50.0, 1.0, "Unset", "")

    def __init__(self, lengths: dict[str, int], share: int) -> None:
        self.rows = [
            [trace, f"{trace}{n}", f"{trace}0" if n else "", "cart" if n else "shop", *self.REST]
            for trace, length in sorted(lengths.items())
            for n in range(length)
        ]
        self.traces = len(lengths)
        self.total = share * tables.SPANS

    def __call__(self, asked: Asked) -> Answer:
        data: list[Any] = self.rows[: 2 * tables.SPANS]
        if "uniqExact" in asked.body:
            assert "% 3 = 0" in asked.body
            data = [[self.traces]]
        elif "count()" in asked.body:
            data = [[self.total]]
        return Answer(json.dumps({"data": data}).encode())


class TestSkewedDraw:
    def shop(self, lengths: dict[str, int]) -> float:
        with serving(Skewed(lengths, 3)) as url:
            found = SpanTable(ClickHouse(url), "t").call_paths(0, 100)
        return {one.path: one.count for one in found}["shop",]

    def test_traces_behind_the_limit_count_through_those_before(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tables, "SPANS", 10)
        assert self.shop({"a": 5, "b": 5}) == 2 * 3
        assert self.shop({"a": 5, "b": 5, "c": 50, "d": 5}) == 4 * 3

    def test_a_trace_that_is_too_long_alone_is_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tables, "SPANS", 10)
        with pytest.raises(Unanswered, match="one trace has more than 20 spans"):
            self.shop({"a": 50, "b": 5})
