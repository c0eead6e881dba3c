"""What a person sees while trials run: done, running, failed by cause, time left. Goes to stderr.

On a terminal a live line; elsewhere a plain line every few seconds, without control codes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.finished import Finished

PLAIN_EVERY_S = 10.0


class Progress:
    """Counts finished trials and shows them."""

    def __init__(self, planned: int, done: int, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._planned = planned
        self._before = done
        self._done = done
        self._failed: Counter[str] = Counter()
        self._cost = 0.0
        self._began = time.monotonic()
        self._last_plain = self._began
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        self._console.print(self._line(), highlight=False)

    def add(self, finished: Sequence[Finished]) -> None:
        """Count finished trials."""
        self._done += len(finished)
        self._failed.update(one.reason for one in finished if one.reason)
        self._cost += sum(one.cost_usd for one in finished)
        if self._console.is_terminal:
            self._live.update(self._line())
        elif time.monotonic() - self._last_plain > PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            self._console.print(self._line(), highlight=False)

    def _line(self) -> Text:
        elapsed = time.monotonic() - self._began
        fresh = self._done - self._before
        parts = [f"{self._done}/{self._planned} trials", f"{elapsed:.0f} s"]
        if fresh > 0 and self._done < self._planned:
            parts.append(f"about {elapsed / fresh * (self._planned - self._done):.0f} s left")
        if self._cost:
            parts.append(f"${self._cost:.2f}")
        parts.extend(f"{cause} {count}" for cause, count in self._failed.most_common(4))
        return Text(" | ".join(parts))
