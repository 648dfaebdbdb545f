"""Answers held to a JSON schema: which tokens may come next.

The grammar work is llguidance's; a mask over the vocabulary takes it well under a millisecond.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tuneward.errors import EngineError
from tuneward.models.chat import ChatTokenizer
from tuneward.types import Json

CHARACTERS_PER_TOKEN = 2
"""A free text may take so many characters per token of the answer, so that the object around it still ends in time."""
UNBOUNDED = {"maxLength", "enum", "const", "pattern", "format"}
"""Keys of a schema that bound a text already, or that a bound would get in the way of."""


class GrammarError(EngineError):
    """The schema cannot be turned into a grammar; the text says why."""


class Grammar:
    """What answers must be; makes a `Guide` for each.

    Args:
        source: llguidance's own form.
        tokenizer: llguidance's view of the vocabulary.
    """

    def __init__(self, source: str, tokenizer: Any):
        self._source = source
        self._tokenizer = tokenizer

    def guide(self) -> Guide:
        """For one answer, from its beginning."""
        from llguidance import LLMatcher

        return Guide(LLMatcher(self._tokenizer, self._source), self._tokenizer.vocab_size)


class Guide:
    """Follows one answer."""

    def __init__(self, matcher: Any, vocabulary: int):
        self._matcher = matcher
        self._bits: NDArray[np.int32] = np.zeros((1, (vocabulary + 31) // 32), dtype=np.int32)

    @property
    def is_complete(self) -> bool:
        """Nothing may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self, vocabulary: int) -> Tensor:
        """[vocabulary] boolean: tokens that may come next."""
        from llguidance.numpy import fill_next_token_bitmask

        fill_next_token_bitmask(self._matcher, self._bits)
        bits = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little")[:vocabulary]
        mask = torch.zeros(vocabulary, dtype=torch.bool)  # a model may have more rows than the tokenizer has tokens
        mask[: len(bits)] = torch.from_numpy(bits.astype(np.bool_))
        return mask

    def take(self, token: int) -> None:
        """The answer goes on with a token that was allowed."""
        self._matcher.consume_token(token)


class GrammarMaker:
    """Grammars for one tokenizer; any thread may ask."""

    def __init__(self, tokenizer: ChatTokenizer):
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._vocabulary: Any = None

    def of_schema(self, schema: Mapping[str, Json] | None, max_tokens: int | None = None) -> Grammar:
        """A grammar for one JSON value.

        Args:
            schema: JSON schema; None is any object.
            max_tokens: limit of the answer, if it has one: free texts then get a limit, too.

        Raises:
            GrammarError: the schema is wrong, or asks for something that cannot be held to token by token.
        """
        from llguidance import LLMatcher

        wanted = dict(schema or {"type": "object"})
        if max_tokens is not None:
            wanted = _bounded(wanted, max(1, max_tokens * CHARACTERS_PER_TOKEN // max(1, _texts(wanted))))
        try:
            source = LLMatcher.grammar_from_json_schema(json.dumps(wanted), overrides={"whitespace_flexible": False})
        except ValueError as error:
            raise GrammarError(f"The schema cannot be held to: {_first_line(str(error))}.") from None
        vocabulary = self._vocabulary_now()
        if problem := LLMatcher.validate_grammar(source, vocabulary):
            raise GrammarError(f"The schema cannot be held to: {_first_line(problem)}.")
        return Grammar(source, vocabulary)

    def _vocabulary_now(self) -> Any:
        with self._lock:
            if self._vocabulary is None:
                from llguidance.hf import from_tokenizer

                end = min(self._tokenizer.stop_ids)
                self._vocabulary = from_tokenizer(self._tokenizer.tokenizer, eos_token=end)
            return self._vocabulary


def _is_free_text(schema: Mapping[str, Json]) -> bool:
    return schema.get("type") == "string" and UNBOUNDED.isdisjoint(schema)


def _texts(schema: Json) -> int:
    """Free texts in a schema."""
    if isinstance(schema, list):
        return sum(_texts(part) for part in schema)
    if not isinstance(schema, Mapping):
        return 0
    return _is_free_text(schema) + sum(_texts(part) for part in schema.values())


def _bounded(schema: Json, characters: int) -> Json:
    """The schema with a limit on its free texts; whatever satisfies it satisfies the original."""
    if isinstance(schema, list):
        return [_bounded(part, characters) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _bounded(part, characters) for key, part in schema.items()}
    return found | {"maxLength": characters} if _is_free_text(schema) else found


def _first_line(text: str) -> str:
    return " ".join(text.split("\n", 1)[0].split()).rstrip(".")
