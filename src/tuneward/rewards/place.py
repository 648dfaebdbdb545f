"""Where a grader stands in the configuration, for its messages."""

from __future__ import annotations

import re

from tuneward.config import GraderConfig

_SETTING = re.compile(rf"(?<![\w./-])reward\.(?=(?:{'|'.join(GraderConfig.model_fields)})\b)")


def relocate(message: str, place: str) -> str:
    """The message of a grader that does not stand at `reward` itself, with its settings named where they are.

    Args:
        message: such as `… took longer than 30 s. Raise reward.timeout_s.`
        place: such as `reward.held_out`.
    """
    return _SETTING.sub(f"{place}.", message)
