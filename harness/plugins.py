"""Looking up an implementation by short name or dotted path; imports it only then."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from harness.errors import ConfigurationError, Problem


def load_class(what: str, name: str, known: Mapping[str, str]) -> Any:
    """Return the class that `name` stands for: a key of `known`, or `package.module:Class`.

    Raises ConfigurationError that lists the known names.
    """
    path = known.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "or give a dotted path package.module:Class"
        raise ConfigurationError(
            Problem(what, f"unknown {what} {name!r}; expected one of {', '.join(known)}", hint)
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(Problem(what, f"cannot load {path!r}: {error}")) from error
