"""Where the judges of a reward find their models."""

from __future__ import annotations

from typing import Any

from tuneward.config import ConnectionConfig


def connect_judges(reward: dict[str, Any], judges: ConnectionConfig | None) -> None:
    """Have every grader that is a model ask where the server's configuration says, unless it says itself."""
    parts = (reward.get("compose") or {}).get("parts", {})
    for grader in (reward, reward.get("held_out") or {}, *parts.values()):
        if judges is not None and (grader.get("openai") or grader.get("judge")):
            grader.setdefault("connection", judges.model_dump(mode="json"))
