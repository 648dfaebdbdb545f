"""Named points in a step and in a save, where fault tests stop the process."""

from __future__ import annotations


def reached(name: str) -> None:
    """Do nothing. The kill-and-resume tests replace this function to end the process at a chosen point.

    Args:
        name: `step.sampled`, `step.updated`, `step.recorded`, `evaluation.done`, `save.written`,
            `save.manifest`, `save.renamed`, `save.pruned`.
    """
