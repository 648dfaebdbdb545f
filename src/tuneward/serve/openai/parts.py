"""An answer's parts as they come: reasoning, text, calls of tools."""

from __future__ import annotations

from collections.abc import Sequence

from tuneward.engine.serving.request import ServingRequest
from tuneward.models.chat import ChatTokenizer
from tuneward.serve.openai.reasoning import Thought, ThoughtSplitter, is_thought_open
from tuneward.serve.openai.tool_calls import CallFinder, ToolCall, names_of
from tuneward.types import Json

Part = Thought | str | ToolCall


class AnswerParts:
    """Splits one answer, and keeps what it has found.

    Args:
        tokenizer: of the model that answers.
        request: as the engine has it.
        tools: that may be called, in the form of chat completions.
    """

    def __init__(self, tokenizer: ChatTokenizer, request: ServingRequest, tools: Sequence[dict[str, Json]]):
        # What is held to a grammar is the answer itself, whatever the prompt ended with.
        is_open = request.grammar is None and is_thought_open(tokenizer, request.prompt)
        self._tokenizer = tokenizer
        self._thoughts = ThoughtSplitter(is_open=is_open)
        self._finder = CallFinder(names_of(tools))
        self.reasoning = ""
        self.text = ""
        self.calls: list[ToolCall] = []

    def push(self, text: str) -> list[Part]:
        """Take in more of the answer; returns what is certain now."""
        return self._sorted(self._thoughts.push(text))

    def finish(self) -> list[Part]:
        """The rest, when nothing follows."""
        return self._sorted(self._thoughts.finish()) + self._kept(self._finder.finish())

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the reasoning, counted anew from its text."""
        return len(self._tokenizer.tokenizer(self.reasoning, add_special_tokens=False)["input_ids"])

    def _sorted(self, found: Sequence[Thought | str]) -> list[Part]:
        parts: list[Part] = []
        for piece in found:
            parts += self._kept([piece] if isinstance(piece, Thought) else self._finder.push(piece))
        return parts

    def _kept(self, parts: Sequence[Part]) -> list[Part]:
        for part in parts:
            match part:
                case Thought():
                    self.reasoning += part.text
                case ToolCall():
                    self.calls.append(part)
                case _:
                    self.text += part
        return list(parts)
