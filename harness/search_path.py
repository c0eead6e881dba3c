"""Lets Hydra find the configuration groups of installed packages (`harness/plugins.py`) beside `conf/`."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from harness.plugins import added_packages


class AddedGroups(SearchPathPlugin):  # type: ignore[misc]  # Hydra ships no types
    """Appends every package that an entry point `sre_harness.conf` names."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """What the harness has wins over what was added."""
        for package in added_packages("conf"):
            search_path.append(provider=package, path=f"pkg://{package}")


def offer_added_groups() -> None:
    """Register with Hydra, before it composes anything."""
    Plugins.instance().register(AddedGroups)
