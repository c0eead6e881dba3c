"""A simulated model that takes real time, so that trials are in flight when something dies; and one that kills."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

from harness.config import EnvironmentConfig
from harness.environments.simulated.environment import SimulatedEnvironment
from harness.models.simulated import SimulatedModel, SimulatedModelConfig
from harness.protocols import ModelReply, ModelRequest


class SlowConfig(SimulatedModelConfig):
    """A simulated model's, and what happens beside."""

    call_s: float = 0.0
    """Real seconds per call."""
    deadly_seeds: tuple[int, ...] = ()
    """Trials with one of these seeds kill the process that runs them."""


class SlowModel(SimulatedModel):
    """The same answers, later."""

    Config = SlowConfig

    def __init__(self, name: str, config: SlowConfig) -> None:
        super().__init__(name, config)
        self._call_s = config.call_s
        self._deadly = frozenset(config.deadly_seeds)

    async def complete(self, request: ModelRequest) -> ModelReply:
        if request.seed in self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._call_s:
            await asyncio.sleep(self._call_s)
        return self.reply(request)


class LiveEnvironment(SimulatedEnvironment):
    """A simulated cluster of which there are only so many."""

    @staticmethod
    def claims(config: EnvironmentConfig) -> Mapping[str, float]:
        return {"live_cluster": 1}
