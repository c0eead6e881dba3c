"""Checkpoints: a world as it was, of which any number of independent copies can be made.

Owns: what copies share. Stored manifests, steady states and what was read of them are never changed in place
(`store.py`), so a copy takes them as they are; everything else is pickled. A copy thus costs as much as what can
change, and what one trial works out about a shared steady state is there for the next. Does not own: the world.
"""

from __future__ import annotations

import gc
import pickle
from io import BytesIO
from typing import TYPE_CHECKING, Any

from harness.environments.simulated.flow import Flow
from harness.environments.simulated.recorder import Segment, Start
from harness.environments.simulated.signals import Signals
from scenarios.applications.schema import Application

if TYPE_CHECKING:
    from harness.environments.simulated.world import World

SHARED = frozenset({Application, Flow, Segment, Signals, Start})
"""Types whose objects never change."""


class Checkpoint:
    """One state of one world. Valid in the process that made it."""

    def __init__(self, world: World) -> None:
        buffer = BytesIO()
        pickler = _Sharing(buffer, world)
        pickler.dump(world)
        self._shared = pickler.shared
        self._data = buffer.getvalue()

    @property
    def size(self) -> int:
        """Bytes that each copy is made from."""
        return len(self._data)

    def restore(self) -> World:
        """An independent copy of the world."""
        unpickler = pickle.Unpickler(BytesIO(self._data))
        unpickler.persistent_load = self._shared.__getitem__  # type: ignore[method-assign]
        collecting = gc.isenabled()
        gc.disable()  # nothing that is being unpickled is garbage; scanning it doubles the time
        try:
            world: World = unpickler.load()
        finally:
            if collecting:
                gc.enable()
        return world


class _Sharing(pickle.Pickler):
    """Leaves out what is shared, noting it in `shared` by number."""

    def __init__(self, buffer: BytesIO, world: World) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.shared: list[Any] = []
        self._manifests = {id(manifest) for manifest in world.store.manifests()}
        self._numbers: dict[int, int] = {}

    def persistent_id(self, item: Any) -> int | None:
        """The number of a shared object; None for one that is copied."""
        if type(item) not in SHARED and id(item) not in self._manifests:
            return None
        number = self._numbers.get(id(item))
        if number is None:
            number = self._numbers[id(item)] = len(self.shared)
            self.shared.append(item)
        return number
