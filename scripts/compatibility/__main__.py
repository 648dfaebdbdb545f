"""Write docs/compatibility.md: `python -m scripts.compatibility`, in the root of the repository."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scripts.compatibility import aws_methods, openai_methods
from scripts.compatibility.outcome import Outcome
from scripts.compatibility.page import page
from scripts.compatibility.world import World, running

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def everything(world: World) -> dict[str, list[Outcome]]:
    """Call all methods of all clients."""
    outcomes = {"openai": list(openai_methods.call_all(world, lambda _: True))}
    for service in aws_methods.SERVICES:
        outcomes[service] = list(aws_methods.call_all(world, service, lambda _: True))
    return outcomes


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as made:
        try:
            PAGE.write_text(page(everything(made)), encoding="utf-8")
        except ValueError as error:
            sys.exit(str(error))
    print(PAGE)
