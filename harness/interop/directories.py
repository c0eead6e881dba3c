"""A directory that appears as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import ConfigurationError, Problem


@contextmanager
def appearing(to: Path) -> Iterator[Path]:
    """A directory to write into that takes its name only when all went well.

    Raises ConfigurationError when the name is taken."""
    if to.exists():
        raise ConfigurationError(Problem(str(to), "exists already", "name a directory that does not"))
    to.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    try:
        yield work
        work.chmod(0o755)
        os.replace(work, to)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
