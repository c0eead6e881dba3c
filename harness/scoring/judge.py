"""A language model as judge of single questions, through the Model protocol.

Owns: asking, asking once more when a reply is unreadable, the cache by content, and the count of what it cost.
Does not own: the questions (`questions.py`), or any arithmetic on answers (`judging.py`). An answer that is not
there is None with a reason; it is never a zero.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError, InfrastructureError, Problem
from harness.models import create_model
from harness.protocols import Model, ModelRequest
from harness.records import Usage
from harness.scoring.questions import Question, read_choice
from harness.store import write_atomically

ATTEMPTS = 2
"""An unreadable reply is asked for once more, with another seed."""
UNIMPORTANT = frozenset({"timeout_s", "max_retries", "backoff", "prices", "api_key_env", "drop_params"})
"""Fields of a model that do not change what it answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question."""

    choice: str | None
    """One of the question's choices; None: no usable answer."""
    reason: str = ""
    """Why there is none."""


class Judge:
    """Asks one model. Equal questions are asked once, also across runs that share a cache directory."""

    def __init__(
        self, model: Model, fields: Mapping[str, Any], cache: Path | None = None, concurrency: int = 8
    ) -> None:
        self.model = model
        self.fields = {key: value for key, value in fields.items() if key not in UNIMPORTANT}
        self.usage: list[Usage] = []
        self.counts: Counter[str] = Counter()
        """How many questions were `asked` or `cached`, and how many stayed `unanswered`."""
        self._cache = cache
        self._turn = asyncio.Semaphore(concurrency)
        self._asked: dict[str, asyncio.Task[Answer]] = {}

    async def ask(self, question: Question) -> Answer:
        """Answer a question. Raises ConfigurationError where no question could be answered (a refused key)."""
        key = self.key(question)
        if key not in self._asked:
            task = asyncio.create_task(self._settle(key, question))
            # An error reaches whoever awaits it; that somebody stopped waiting is no second error.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._asked[key] = task
        return await self._asked[key]

    def key(self, question: Question) -> str:
        """Hash of everything that determines an answer."""
        content = [self.fields, question.messages(), question.tool().parameters]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    async def close(self) -> None:
        """Give back the model's connections."""
        await self.model.close()

    async def _settle(self, key: str, question: Question) -> Answer:
        known = self._known(key, question)
        if known is not None:
            self.counts["cached"] += 1
            return Answer(known)
        async with self._turn:
            answer = await self._ask(question)
        self.counts["asked"] += 1
        if answer.choice is None:
            self.counts["unanswered"] += 1
        else:
            self._keep(key, question, answer.choice)
        return answer

    async def _ask(self, question: Question) -> Answer:
        reason = ""
        for seed in range(ATTEMPTS):
            request = ModelRequest(question.messages(), [question.tool()], seed, max_output_tokens=1024)
            try:
                reply = await self.model.complete(request)
            except InfrastructureError as error:
                return Answer(None, str(error))
            self.usage.append(reply.usage)
            choice = read_choice(reply, question.choices)
            if choice is not None:
                return Answer(choice)
            reason = f"no valid choice in the reply ({reply.finish}): {reply.text.strip()!r:.120}"
        return Answer(None, reason)

    def _file(self, key: str) -> Path | None:
        return self._cache / key[:2] / f"{key}.json" if self._cache else None

    def _known(self, key: str, question: Question) -> str | None:
        """The kept answer; an unreadable file counts as none."""
        file = self._file(key)
        try:
            kept = json.loads(file.read_bytes()) if file else None
        except (OSError, ValueError):
            return None
        choice = kept.get("choice") if isinstance(kept, dict) else None
        return choice if choice in question.choices else None

    def _keep(self, key: str, question: Question, choice: str) -> None:
        file = self._file(key)
        if file is None:
            return
        kept = {"criterion": question.criterion, "model": self.model.name, "choice": choice}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(kept).encode())


def compose_judge(overrides: Sequence[str], cache: Path | None) -> Judge | None:
    """The judge that `conf/score.yaml` and overrides such as `judge=NAME judge.model=...` choose; None for `none`.

    Raises ConfigurationError for unknown groups and fields, and for what would make every call fail."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            composed: Any = OmegaConf.to_container(compose("score", overrides=list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigurationError(Problem(" ".join(overrides), " ".join(str(error).split()))) from None
    fields = composed["judge"]
    if fields.get("kind") == "none":
        return None
    model = create_model("judge", fields)
    problems = list(model.problems())
    if problems:
        raise ConfigurationError(problems)
    return Judge(model, fields, cache)
