"""What building the package does beyond copying: the web console."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import build_console


class ConsoleHook(BuildHookInterface[Any]):
    """Builds the console into the package. An editable installation gets it from `make console`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if build_console.has_node() else [build_console.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if version != "editable":
            build_console.build(self.app.display_info)
