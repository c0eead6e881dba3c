"""Opens the broker of a run and closes it.

Owns: which parts there are and where their files lie. Does not own: who asks (`meters`), or where trials run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from harness.broker import replies
from harness.broker.accounts import caps
from harness.broker.core import Broker, Settings
from harness.broker.desk import Desk, FileJournal
from harness.broker.ledger import Ledger, accounts_from
from harness.broker.meters import Meters
from harness.broker.replies import Replies
from harness.config import ExperimentConfig
from harness.models import MODELS
from harness.plugins import load_class

Notice = Callable[[str], None]


def is_needed(config: ExperimentConfig) -> bool:
    """Whether any model's calls cost something or are limited (`models.meter.Metered`); test doubles' are not."""
    classes = [load_class("model kind", str(one.get("kind", "")), MODELS) for one in config.models.values()]
    return any(hasattr(one, "metered") for one in classes)


@asynccontextmanager
async def open_desk(config: ExperimentConfig, notice: Notice) -> AsyncIterator[Desk]:
    """The broker of a run in this event loop. Raises ConfigurationError for a ledger that cannot be taken up."""
    ledger = Ledger(config.directory)
    spending, left = ledger.open()
    if left:
        usd = sum(call.usd for call in left)
        notice(f"{len(left)} calls were under way when the run was killed; up to ${usd:.4f} counts as spent")
    settings = Settings(config.money, config.rates, config.outage)
    kept = Replies(replies_path(config), notice)
    desk = Desk(
        Broker(settings, accounts_from(caps(config.money), spending)), FileJournal(ledger), kept, notice
    )
    try:
        yield desk
    finally:
        await desk.close()
        kept.close()
        ledger.close()


@asynccontextmanager
async def open_meters(config: ExperimentConfig, notice: Notice) -> AsyncIterator[Meters | None]:
    """The meters of a run in this event loop; None where no call costs anything."""
    if not is_needed(config):
        yield None
        return
    async with open_desk(config, notice) as desk:
        yield Meters(desk, keeps_replies(config))


def keeps_replies(config: ExperimentConfig) -> bool:
    """Whether replies are kept."""
    return config.responses != "off"


def replies_path(config: ExperimentConfig) -> Path | None:
    """Where replies are kept: in the run directory, or in one that runs share."""
    if not keeps_replies(config):
        return None
    shared = None if config.responses == "run" else Path(config.responses)
    return (shared or config.directory) / replies.FILE
