"""Ctrl-C in two steps: the first stops taking up trials and lets those in flight finish, the second stops at once.

Owns: the signals (SIGINT, and SIGTERM as Kubernetes and `ray job stop` send it) while trials run. Does not own:
what executors do when asked to stop.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

MESSAGE = (
    "stopping: no further trial starts, those in flight are finished (again: stop at once and owe them too)\n"
)


class Stop:
    """Whether the run was asked to stop."""

    requested = False

    def request(self) -> None:
        """Take up no further trial."""
        self.requested = True


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first signal into a request and the second into KeyboardInterrupt. Elsewhere than in the main
    thread, where Python allows no handlers, signals keep their meaning."""
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.request()
        sys.stderr.write(MESSAGE)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
