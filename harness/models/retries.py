"""How often and after which pauses one call is attempted.

Owns: the count and the pauses of one call. Does not own: what a failure means (`failures`), or when a provider that
is to blame for it is asked again (`harness/broker`).
"""

from __future__ import annotations

import logging
import random

from tenacity import RetryCallState

from harness.models.endpoint import LiteLLMConfig
from harness.models.failures import Failure

UNREACHABLE_RETRIES = 2
"""Nobody listens there: a few more attempts bridge a hiccup, many only delay the message."""

logger = logging.getLogger(__name__)


class CallError(Exception):
    """One attempt failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure
        self.again = False
        """The provider is to blame: the attempt does not count towards `max_retries`."""


class Attempts:
    """The attempts of one call, as tenacity asks about them."""

    def __init__(self, name: str, config: LiteLLMConfig) -> None:
        self._name = name
        self._config = config
        self._counted = 0

    def worth_another(self, error: BaseException) -> bool:
        """Whether a failure may pass by itself."""
        return isinstance(error, CallError) and error.failure.kind in ("transient", "unreachable")

    def stop(self, state: RetryCallState) -> bool:
        """Whether that was the last attempt."""
        error = _error_of(state)
        if error.again:
            return False
        self._counted += 1
        most = self._config.max_retries
        if error.failure.kind == "unreachable":
            most = min(most, UNREACHABLE_RETRIES)
        too_long = (error.failure.retry_after or 0.0) > self._config.backoff.longest_retry_after_s
        return self._counted > most or too_long

    def wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt."""
        backoff, error = self._config.backoff, _error_of(state)
        pause = min(backoff.initial_s * 2.0 ** max(self._counted - 1, 0), backoff.max_s)
        if error.again:
            pause = 0.0  # whoever said so lets the attempt wait
        elif error.failure.retry_after is not None:
            pause = error.failure.retry_after
        pause += random.uniform(0.0, backoff.jitter_s)
        made, kind = state.attempt_number, error.failure.kind
        logger.info("%s: attempt %d failed (%s), next in %.1f s", self._name, made, kind, pause)
        return pause


def _error_of(state: RetryCallState) -> CallError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, CallError)
    return error
