"""The broker of a Ray run: one actor with the desk, and a worker's way to it.

Whatever comes up in one turn of a worker's event loop goes to the actor as one message, and answers come back through
one call that stays open, so that a call to a model costs the cluster a fraction of a message. The actor sits on the
driver's node, where the run directory is. Imported only when Ray was chosen.
Owns: messages and the actor's life. Does not own: decisions (`core`).
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.broker.core import EVERYTHING, Ask, Failed, Refusal
from harness.broker.desk import Desk
from harness.broker.office import is_needed, open_desk
from harness.config import ExperimentConfig
from harness.records import Usage

T = TypeVar("T")
Actor = Any
"""A Ray actor handle; Ray ships no types that mypy could check."""
GONE = Refusal(EVERYTHING, "the broker's process died")
CLOSING_S = 30.0


class Letter(NamedTuple):
    """What a worker tells about one call."""

    kind: Literal["admit", "withdraw", "answered", "failed", "lost"]
    ask: Ask
    usage: Usage | None = None
    reply: bytes = b""
    failure: Failed | None = None


Answer = tuple[str, Refusal | bytes | bool | None]
"""(call, what became of it)."""


class BrokerActor:
    """The desk, in a process of its own."""

    def __init__(self, config: ExperimentConfig) -> None:
        self._config = config
        self._open = AsyncExitStack()
        self._boxes: dict[str, Box[Answer]] = {}
        self._notices: Box[str] = Box()
        self._admitting: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Take the run's ledger up. Raises ConfigurationError."""
        desk = open_desk(self._config, self._notices.put)
        self._desk: Desk = await self._open.enter_async_context(desk)

    async def tell(self, worker: str, letters: Sequence[Letter]) -> None:
        """A worker's letters, in order."""
        box = self._boxes.setdefault(worker, Box())
        for letter in letters:
            ask = letter.ask
            if letter.kind == "admit":
                self._admitting[ask.call] = asyncio.create_task(self._admit(box, ask))
            elif letter.kind == "withdraw" and ask.call in self._admitting:
                self._admitting[ask.call].cancel()
            elif letter.usage is not None:
                self._desk.answered(ask, letter.usage, letter.reply)
            elif letter.failure is not None:
                box.put((ask.call, await self._desk.failed(ask, letter.failure)))
            elif letter.kind == "lost":
                self._desk.lost(ask)

    async def hear(self, worker: str) -> list[Answer]:
        """Answers to a worker, at least one."""
        return await self._boxes.setdefault(worker, Box()).take()

    async def notices(self) -> list[str]:
        """What a person should be told, at least one line."""
        return await self._notices.take()

    async def abandoned(self, trials: Collection[str]) -> None:
        """A worker died with these trials."""
        self._desk.abandoned(trials)

    async def close(self) -> None:
        """Write what is left."""
        await self._open.aclose()

    async def _admit(self, box: Box[Answer], ask: Ask) -> None:
        try:
            box.put((ask.call, await self._desk.admit(ask)))
        finally:
            del self._admitting[ask.call]


class Box(Generic[T]):
    """Things that wait to be fetched."""

    def __init__(self) -> None:
        self._things: list[T] = []
        self._news = asyncio.Event()

    def put(self, thing: T) -> None:
        """Have one more fetched."""
        self._things.append(thing)
        self._news.set()

    async def take(self) -> list[T]:
        """Everything that is there, once anything is."""
        await self._news.wait()
        self._news.clear()
        things, self._things = self._things, []
        return things


class RemoteClerk:
    """Implements `meters.Clerk` in a worker."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        self._name = secrets.token_hex(4)
        self._letters: list[Letter] = []
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._hearing: asyncio.Task[None] | None = None

    async def admit(self, ask: Ask) -> Refusal | bytes | None:
        """Wait until a call may be made."""
        try:
            answer: Refusal | bytes | None = await self._answer_to(Letter("admit", ask))
        except asyncio.CancelledError:
            self._post(Letter("withdraw", ask))
            raise
        return answer

    def answered(self, ask: Ask, usage: Usage, reply: bytes = b"") -> None:
        """A call was answered."""
        self._post(Letter("answered", ask, usage, reply))

    async def failed(self, ask: Ask, failure: Failed) -> bool:
        """A call failed; whether to repeat it however often."""
        answer = await self._answer_to(Letter("failed", ask, failure=failure))
        return answer is True

    def lost(self, ask: Ask) -> None:
        """Nobody will learn how a call ended."""
        self._post(Letter("lost", ask))

    async def close(self) -> None:
        """Send what is left."""
        if self._hearing is not None:
            self._hearing.cancel()
        if self._letters:
            letters, self._letters = self._letters, []
            await self._actor.tell.remote(self._name, letters)

    async def _answer_to(self, letter: Letter) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[letter.ask.call] = future
        self._post(letter)
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear())
        try:
            return await future
        finally:
            self._waiting.pop(letter.ask.call, None)

    def _post(self, letter: Letter) -> None:
        if not self._letters:
            asyncio.get_running_loop().call_soon(self._send)
        self._letters.append(letter)

    def _send(self) -> None:
        letters, self._letters = self._letters, []
        if letters:
            self._actor.tell.remote(self._name, letters)

    async def _hear(self) -> None:
        try:
            while True:
                for call, answer in await self._actor.hear.remote(self._name):
                    self._tell(call, answer)
        except RayError:
            for call in list(self._waiting):
                self._tell(call, GONE)

    def _tell(self, call: str, answer: Any) -> None:
        future = self._waiting.get(call)
        if future is not None and not future.done():
            future.set_result(answer)


@contextmanager
def broker_actor(config: ExperimentConfig, notice: Callable[[str], None]) -> Iterator[Actor | None]:
    """The broker of a run on the connected cluster; None where no call costs anything. Raises ConfigurationError."""
    if not is_needed(config):
        yield None
        return
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": 0, "scheduling_strategy": here}
    actor = ray.remote(BrokerActor).options(**options).remote(config)
    try:
        ray.get(actor.open.remote())
        threading.Thread(target=_relay, args=(actor, notice), daemon=True).start()
        yield actor
        ray.get(actor.close.remote(), timeout=CLOSING_S)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    finally:
        ray.kill(actor)


def _relay(actor: Actor, notice: Callable[[str], None]) -> None:
    """Pass on what the actor has to say until it is gone."""
    try:
        while True:
            for line in ray.get(actor.notices.remote()):
                notice(line)
    except RayError:
        return
