"""What a model thinks before it answers: `<think>…</think>` at the beginning of what it writes.

Source: OpenAI RFT contract, 7.2 (`reasoning_content`) and 7.3 (reasoning items).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuneward.models.chat import ChatTokenizer

OPEN, CLOSE = "<think>", "</think>"
PROMPT_END = 16
"""Tokens of a prompt's end that may open a thought."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A stretch of reasoning."""

    text: str


class ThoughtSplitter:
    """Splits an answer into reasoning and what follows, as it grows.

    Args:
        is_open: the prompt has opened the thought, as the templates of some models do.
    """

    def __init__(self, *, is_open: bool = False):
        self._held = ""
        self._state = "thought" if is_open else "start"
        self._is_fresh = True
        """Nothing of the thought, or of the text behind it, has been given out: white space there is left out."""

    def push(self, text: str) -> list[Thought | str]:
        """Take in more; returns what is certain now."""
        self._held += text
        return self._split(is_last=False)

    def finish(self) -> list[Thought | str]:
        """The rest, when nothing follows. A thought that was not closed is one all the same."""
        return self._split(is_last=True)

    def _split(self, *, is_last: bool) -> list[Thought | str]:
        if self._state == "start":
            begun = self._held.lstrip()
            if begun.startswith(OPEN):
                self._state, self._held = "thought", begun.removeprefix(OPEN)
            elif is_last or not OPEN.startswith(begun):
                self._state, self._is_fresh = "text", False
            else:
                return []
        found: list[Thought | str] = []
        if self._state == "thought":
            thought, mark, after = self._held.partition(CLOSE)
            if mark:
                self._state, self._held = "text", after
            elif not is_last:
                open_end = next((n for n in range(len(CLOSE) - 1, 0, -1) if thought.endswith(CLOSE[:n])), 0)
                self._held = thought[len(thought[: len(thought) - open_end].rstrip()) :]
                thought = thought[: len(thought) - len(self._held)]
            else:
                self._held = ""
            thought = thought.lstrip() if self._is_fresh else thought
            thought = thought.rstrip() if mark or is_last else thought
            if thought:
                found.append(Thought(thought))
                self._is_fresh = False
            if not mark:
                return found
            self._is_fresh = True
        text = self._held.lstrip() if self._is_fresh else self._held
        self._held = ""
        if text:
            found.append(text)
            self._is_fresh = False
        return found


def is_thought_open(tokenizer: ChatTokenizer, prompt: Sequence[int]) -> bool:
    """Whether a prompt ends within a thought, so that the answer goes on with it."""
    return tokenizer.decode_raw(list(prompt[-PROMPT_END:])).rstrip().endswith(OPEN)
