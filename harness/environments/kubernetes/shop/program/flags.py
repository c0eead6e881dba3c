"""Feature flags: the flag server's file, and what a workload makes of its answers."""

import json
import threading
import time
from collections.abc import Iterator

from .wire import Failure, ask
from .workload import FLAG_STORE, ME, NAME, Described, env_of

FLAGS_FOR_S = 2.0
STARTING_S = 60.0
"""How long a workload that caches flags goes on asking: a flag server that is restarted together with it takes this
long to be replaced, and the old one answers meanwhile."""


def flags_in_file() -> dict[str, float]:
    """Values of the active variants in the flag server's own file."""
    try:
        with open(FLAG_STORE["path"], encoding="utf-8") as file:
            flags = json.load(file)["flags"]
        return {name: float(flag["variants"][flag["defaultVariant"]]) for name, flag in flags.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


class Flags:
    """What the flag server answers; a workload that caches flags asks only when it starts."""

    def __init__(self) -> None:
        self._values: dict[str, float] = {}
        self._until = 0.0
        self._began = time.monotonic()

    def of(self) -> dict[str, float]:
        if time.monotonic() > self._until and ME.get("flags"):
            host, port = env_of("FLAGD_HOST"), env_of("FLAGD_PORT")
            try:
                self._values = json.loads(ask(host, int(port or 0), "flags", {}, 2.0))
                started = time.monotonic() > self._began + STARTING_S
                keeps = ME["caches_flags"] and started
                self._until = float("inf") if keeps else time.monotonic() + FLAGS_FOR_S
            except (Failure, ValueError):
                self._until = time.monotonic() + FLAGS_FOR_S
        return self._values

    def effects(self, operation: str) -> Iterator[tuple[Described, float]]:
        """(effect, value) of each flag that is on and concerns an operation."""
        values = self.of()
        for effect in ME.get("flags", ()):
            value = values.get(effect["flag"], 0.0)
            if value and (not effect["operations"] or operation in effect["operations"]):
                yield effect, value


FLAGS = Flags()
_turns: dict[str, float] = {}
_turn_lock = threading.Lock()


def every(what: str, share: float) -> bool:
    """True for that share of the times it is asked, evenly spread."""
    with _turn_lock:
        _turns[what] = _turns.get(what, 0.0) + share
        if _turns[what] >= 1.0:
            _turns[what] -= 1.0
            return True
    return False


START_FLAGS = flags_in_file() if FLAG_STORE["workload"] == NAME else {}
