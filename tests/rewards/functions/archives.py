"""Archives of reward functions, made in memory."""

from __future__ import annotations

import io
import zipfile

HANDLER = """
def lambda_handler(event, context):
    return [{"id": item["id"], "aggregate_reward_score": SCORE} for item in event]
"""


def archive(**files: str | bytes) -> bytes:
    """A zip archive; `a__b` in a name stands for `a/b`, and `.py` is added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(f"{name.replace('__', '/')}.py", content)
    return buffer.getvalue()


def scoring(score: float) -> bytes:
    """Archive of a function that gives every sample this score."""
    return archive(reward=HANDLER.replace("SCORE", str(score)))
