"""What a person sees while trials run: done, running, failed by cause, money, time left. Goes to stderr.

    auto     on a terminal a live table; elsewhere, and where CI is set, plain lines without control codes
    plain    plain lines
    quiet    nothing

Owns: counting and showing. Does not own: what a cause means (`errors.CAUSES`), or results (`report/terminal.py`).
rich honours NO_COLOR.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.errors import CAUSES
from harness.finished import Finished

Mode = Literal["auto", "plain", "quiet"]
PLAIN_EVERY_S = 10.0
"""Seconds between plain lines, at first."""
PLAIN_GROWTH = 0.1
"""Later ones are that share of the elapsed time apart, so that a night's log stays short."""
BAR = 30
QUARANTINED = "infra_worker_lost"
"""Reason of trials that are given up because they kill their workers; they are listed one by one."""


class Progress:
    """Counts finished trials and shows them. `done` trials come from earlier sessions; `at_once` says how many
    run at a time, `usd` what all may cost, in US dollars."""

    def __init__(
        self,
        planned: int,
        done: int,
        *,
        at_once: Callable[[], int] = lambda: 0,
        usd: float | None = None,
        mode: Mode = "auto",
        console: Console | None = None,
    ) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._planned = planned
        self._before = done
        self._done = done
        self._at_once = at_once
        self._usd = usd
        self._spent = 0.0
        self._failed: Counter[str] = Counter()
        self._began = time.monotonic()
        self._next_line = PLAIN_EVERY_S
        self._mode = mode
        terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = (
            Live(get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True)
            if mode == "auto" and terminal and not os.environ.get("CI")
            else None
        )

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
        if self._mode != "quiet":
            self._print_line()

    def add(self, finished: Sequence[Finished]) -> None:
        """Count finished trials."""
        self._done += len(finished)
        self._failed.update(one.reason for one in finished if one.reason)
        self._spent += sum(one.cost_usd for one in finished)
        for one in finished:
            if one.reason == QUARANTINED and self._mode != "quiet":
                self._console.print(
                    f"quarantined: {one.trial_id}: {CAUSES[QUARANTINED].says}", soft_wrap=True
                )
        if self._mode != "quiet" and not self._live and self._elapsed > self._next_line:
            self._next_line = self._elapsed + max(PLAIN_EVERY_S, PLAIN_GROWTH * self._elapsed)
            self._print_line()

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    @property
    def _running(self) -> int:
        return min(self._at_once(), self._planned - self._done)

    def _left(self) -> str:
        """Time left at the pace so far."""
        fresh, owed = self._done - self._before, self._planned - self._done
        return duration(self._elapsed / fresh * owed) if fresh and owed else ""

    def _money(self) -> str:
        if self._usd is not None:
            return f"${self._spent:.2f} of ${self._usd:.2f}"
        return f"${self._spent:.2f}" if self._spent else ""

    def _print_line(self) -> None:
        self._console.print(self._line(), highlight=False, soft_wrap=True)

    def _line(self) -> Text:
        parts = [f"{self._done}/{self._planned} trials"]
        if self._running:
            parts.append(f"{self._running} running")
        parts.append(duration(self._elapsed))
        if left := self._left():
            parts.append(f"about {left} left")
        if money := self._money():
            parts.append(money)
        parts.extend(f"{cause} {count}" for cause, count in self._failed.most_common())
        return Text(" | ".join(parts))

    def _table(self) -> Group:
        """Bar and counts, and a line per cause of failure with what it means."""
        bar = ProgressBar(total=max(self._planned, 1), completed=self._done, width=BAR)
        counts = Table.grid(padding=(0, 2))
        figures = {
            "done": f"{self._done} of {self._planned}",
            "running": str(self._running),
            "failed": str(self._failed.total()),
            "money": self._money() or "–",
            "elapsed": duration(self._elapsed),
            "left": self._left() or "–",
        }
        counts.add_row("", *(Text(name, style="dim") for name in figures))
        counts.add_row(bar, *figures.values())
        causes = Table.grid(padding=(0, 2))
        for cause, count in self._failed.most_common():
            style = "yellow" if cause in CAUSES and CAUSES[cause].grade == "exclude" else "red"
            says = CAUSES[cause].says if cause in CAUSES else ""
            causes.add_row(Text(str(count), style=style), Text(cause), Text(says, style="dim"))
        return Group(counts, causes) if self._failed else Group(counts)


def duration(seconds: float) -> str:
    """Seconds as people read them: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
