"""Applications that incidents happen to: one YAML file each, checked on loading.

Owns: finding, reading and checking the files. The schema is in `schema.py`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.errors import ConfigurationError, Problem
from scenarios.applications.schema import Application

__all__ = ["Application", "application_names", "load_application", "read_application"]

HERE = Path(__file__).parent


def application_names() -> list[str]:
    """Names of the applications that come with the harness."""
    return sorted(path.stem.replace("_", "-") for path in HERE.glob("*.yaml"))


@lru_cache(maxsize=16)
def load_application(name: str) -> Application:
    """The application of a name (`otel-demo`) or a file's path; one shared object per process.

    Raises ConfigurationError with everything that is wrong in the file."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else HERE / f"{name.replace('-', '_')}.yaml"
    if not path.is_file():
        raise ConfigurationError(
            Problem(
                f"application {name!r}", "no such application", f"one of {', '.join(application_names())}"
            )
        )
    application = read_application(path.read_text(encoding="utf-8"), path.name)
    application._file = name
    return application


def read_application(text: str, file: str) -> Application:
    """Check the text of an application file. Raises ConfigurationError with everything that is wrong."""
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(Problem(file, f"not YAML: {error}")) from error
    if isinstance(data, dict) and "extends" in data:
        base = HERE / f"{str(data.pop('extends')).replace('-', '_')}.yaml"
        data = overlaid(yaml.safe_load(base.read_text(encoding="utf-8")), data)
    try:
        application = Application.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(
            [Problem(f"{file}: {_field(found['loc'])}", _says(found)) for found in error.errors()]
        ) from error
    problems = [problem._replace(where=f"{file}: {problem.where}") for problem in application.problems()]
    if problems:
        raise ConfigurationError(problems)
    return application


def overlaid(base: Any, overlay: Any) -> Any:
    """The base with everything that the overlay says; mappings merge, all else is replaced."""
    if not (isinstance(base, dict) and isinstance(overlay, dict)):
        return overlay
    merged = {key: overlaid(base[key], value) if key in base else value for key, value in overlay.items()}
    return {**base, **merged}


def _field(location: tuple[int | str, ...]) -> str:
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
        or "(top)"
    )


def _says(found: Any) -> str:
    shown = "" if found["type"] in ("missing", "extra_forbidden") else f", found {found['input']!r:.80}"
    return f"{found['msg']}{shown}"
