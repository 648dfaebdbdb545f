"""Names → local weights; chat template, stop set, tokenisation; memory check; the adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuneward.models.chat import ChatTokenizer


def load_chat_tokenizer(name: str) -> ChatTokenizer:
    """The chat tokenizer of a model by name; imports the model libraries only now.

    Raises:
        ModelError: no such model, or it has no chat template.
    """
    from tuneward.models.chat import ChatTokenizer
    from tuneward.models.resolve import resolve

    return ChatTokenizer.load(resolve(name))


__all__ = ["load_chat_tokenizer"]
