"""Chat template, tokens and the stop set of a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneward.errors import ModelError
from tuneward.models.importing import IMPORTING
from tuneward.models.quiet import quiet_libraries
from tuneward.types import Message, Row


@dataclass(frozen=True)
class ChatTokenizer:
    """Messages → token ids and back. Prompts are rendered once; completions stay token ids."""

    tokenizer: Any
    stop_ids: frozenset[int]
    """Every token that ends an answer: generation config, tokenizer, and the template's end of turn."""
    folder: Path

    @classmethod
    def load(cls, folder: Path) -> ChatTokenizer:
        """Read the tokenizer of a model folder.

        Raises:
            ModelError: no readable tokenizer, no chat template, or no token that ends an answer.
        """
        with IMPORTING:
            from transformers import AutoTokenizer

        with quiet_libraries():
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            except Exception as error:  # the libraries raise many types for a damaged folder
                reason = " ".join(str(error).split())[:160]
                raise ModelError(f"{folder}: its tokenizer cannot be loaded ({reason}).") from None
        if not tokenizer.chat_template:
            raise ModelError(f"{folder}: the tokenizer has no chat template; use an instruction-tuned model.")
        stop_ids = _eos_of_generation_config(folder) | _template_turn_end(tokenizer)
        if tokenizer.eos_token_id is not None:
            stop_ids |= {int(tokenizer.eos_token_id)}
        if not stop_ids:
            raise ModelError(f"{folder}: no end-of-turn token is defined (eos_token, generation_config.json).")
        return cls(tokenizer, frozenset(stop_ids), folder)

    def render(self, row: Row) -> tuple[int, ...]:
        """Token ids of the row's messages up to where the answer begins.

        Raises:
            ModelError: the template refuses these messages; the text names the row and the template's reason.
        """
        return self.render_messages(row.messages, tools=row.tools, where=f"row {row.id}")

    def render_messages(
        self, messages: tuple[Message, ...], *, tools: tuple[Any, ...] = (), where: str = "messages"
    ) -> tuple[int, ...]:
        """As `render`, for messages that come from elsewhere. Raises ModelError."""
        text = self._apply(messages, tools, where, asks=True)
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def render_answer(
        self, messages: tuple[Message, ...], *, tools: tuple[Any, ...] = (), where: str = "messages"
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Prompt and completion as they are when the last message, an assistant's, is sampled.

        The prompt is rendered as in sampling, so the completion's tokens are those that a model would have to draw,
        the one that ends its turn included.

        Raises:
            ModelError: the template refuses these messages, or shows an answer otherwise than it asks for one.
        """
        asked = self._apply(messages[:-1], tools, where, asks=True)
        answered = self._apply(messages, tools, where, asks=False)
        if not answered.startswith(asked):
            raise ModelError(
                f"{where}: the chat template writes this answer otherwise than it asks for one, so it cannot be "
                "learned token by token; use a model whose template keeps earlier text as it is."
            )
        prompt = self.tokenizer(asked, add_special_tokens=False)["input_ids"]
        answer = self.tokenizer(answered[len(asked) :], add_special_tokens=False)["input_ids"]
        end = next((place for place, token in enumerate(answer) if token in self.stop_ids), None)
        ended = [*answer, min(self.stop_ids)] if end is None else answer[: end + 1]
        return tuple(prompt), tuple(ended)

    def _apply(self, messages: tuple[Message, ...], tools: tuple[Any, ...], where: str, *, asks: bool) -> str:
        try:
            text = self.tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                tools=[dict(tool) for tool in tools] or None,
                add_generation_prompt=asks,
                tokenize=False,
            )
        except Exception as error:  # templates are programs: jinja errors, TypeError, KeyError, …
            raise ModelError(f"{where}: the chat template refuses these messages ({error}).") from None
        return str(text)

    def decode(self, token_ids: tuple[int, ...] | list[int]) -> str:
        """Text of an answer: special tokens are left out, spaces are kept as they are."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def decode_raw(self, token_ids: tuple[int, ...] | list[int]) -> str:
        """Text with every special token visible, for showing what the model really sees."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def stop_tokens(self) -> list[str]:
        """The stop set as text, sorted by id."""
        return [str(token) for token in self.tokenizer.convert_ids_to_tokens(sorted(self.stop_ids))]


def _eos_of_generation_config(folder: Path) -> set[int]:
    found: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        path = folder / name
        if path.is_file():
            try:
                eos = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
            except (ValueError, AttributeError):
                raise ModelError(f"{path}: not a JSON object; copy the model again.") from None
            found |= set(eos) if isinstance(eos, list) else {eos} if isinstance(eos, int) else set()
    return found


def _template_turn_end(tokenizer: Any) -> set[int]:
    """The special token that the template puts after an assistant's message.

    Llama 3's `<|eot_id|>` or ChatML's `<|im_end|>` may differ from the tokenizer's `eos_token`; a sampler that
    knows only one of them runs every answer into the length limit.
    """
    mark = "Zanzibar"
    try:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": "x"}, {"role": "assistant", "content": mark}], tokenize=False
        )
    except Exception:  # a template may insist on a system message or refuse this shape: then eos must do
        return set()
    _, shown, after = text.rpartition(mark)
    if not shown:  # the template leaves answers out, so it says nothing about their end
        return set()
    ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    specials = set(tokenizer.all_special_ids) | {
        i for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special
    }
    return next(({token} for token in ids if token in specials), set())
