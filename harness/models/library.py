"""LiteLLM itself: imported once, on first use, and kept at home.

Owns: the import (it takes seconds and 160 MB), its switches, its connections. Does not own: any call.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from harness.errors import ConfigurationError, Problem

INSTALL = 'pip install "litellm[mcp]"'


@cache
def load() -> Any:
    """The LiteLLM module, imported once and kept at home: no price download, telemetry or chatter.
    Raises ConfigurationError when it is not installed."""
    try:
        with _local_prices():
            import litellm
    except ImportError as error:
        raise ConfigurationError(Problem("litellm", str(error), INSTALL)) from error
    warnings.filterwarnings("ignore", ".* using the `ReadOnly` qualifier", UserWarning)  # its own types
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    # Every failure reaches us as an exception; its log lines would only quote requests on stderr.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    return litellm


async def close_connections() -> None:
    """Close the connections that LiteLLM keeps; await it before an event loop that made calls ends."""
    litellm = load()
    await litellm.close_litellm_async_clients()
    # Clients are cached by the id of their event loop; a later loop of the same id must not get a closed one.
    litellm.in_memory_llm_clients_cache.flush_cache()


@contextmanager
def _local_prices() -> Iterator[None]:
    """LiteLLM takes this one switch from the environment only, and reads it while it is imported."""
    name = "LITELLM_LOCAL_MODEL_COST_MAP"
    before = os.environ.get(name)
    os.environ[name] = "True"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
