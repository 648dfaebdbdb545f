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

from tuneward.engine.serving.vocabulary import Vocabulary
from tuneward.errors import EngineError
from tuneward.models.chat import ChatTokenizer
from tuneward.types import Json

MARGIN = 8
"""Tokens kept free beyond those that the shortest answer takes."""
DEPTH = 8
"""A schema that refers to itself is followed so deep."""
LONGEST = 1000
"""More characters or items than this are not counted: no answer has the room for them."""


class GrammarError(EngineError):
    """The schema cannot be turned into a grammar; the text says why."""


class Grammar:
    """What answers must be; makes a `Guide` for each.

    Args:
        source: llguidance's own form.
        vocabulary: of the model.
        reserve: tokens in which an answer can be brought to its end from nearly anywhere.
    """

    def __init__(self, source: str, vocabulary: _Vocabulary, reserve: int):
        self._source = source
        self._vocabulary = vocabulary
        self._reserve = reserve

    def guide(self) -> Guide:
        """For one answer, from its beginning."""
        return Guide(self._source, self._vocabulary, self._reserve)


class Guide:
    """Follows one answer."""

    def __init__(self, source: str, vocabulary: _Vocabulary, reserve: int):
        from llguidance import LLMatcher

        self._matcher: Any = LLMatcher(vocabulary.tokenizer, source)
        self._vocabulary = vocabulary
        self._reserve = reserve
        self._bits: NDArray[np.int32] = np.zeros((1, (vocabulary.size + 31) // 32), dtype=np.int32)
        self._in_text = False
        self._after_backslash = False

    @property
    def is_complete(self) -> bool:
        """Nothing may follow."""
        return bool(self._matcher.is_stopped())

    def allowed(self, size: int, left: int | None = None) -> Tensor:
        """Tokens that may come next.

        Args:
            size: of the logits; a model may have more rows than the tokenizer has tokens.
            left: tokens that the answer may still have. When they get few, what is open is closed, so that a small
                limit cuts a text short and not the object around it.

        Returns:
            [size] boolean.
        """
        from llguidance.numpy import fill_next_token_bitmask

        fill_next_token_bitmask(self._matcher, self._bits)
        bits = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little")[: self._vocabulary.size].astype(np.bool_)
        if left is not None and left <= self._reserve and not self._after_backslash:
            for closing in self._vocabulary.closing_text if self._in_text else self._vocabulary.closing_value:
                if (bits & closing).any():
                    bits &= closing
                    break
        mask = torch.zeros(size, dtype=torch.bool)
        known = min(size, len(bits))
        mask[:known] = torch.from_numpy(bits[:known])
        return mask

    def take(self, token: int) -> None:
        """The answer goes on with a token that was allowed."""
        self._matcher.consume_token(token)
        for byte in self._vocabulary.data(token):
            if self._after_backslash:
                self._after_backslash = False
            elif byte == ord("\\"):
                self._after_backslash = self._in_text
            elif byte == ord('"'):
                self._in_text = not self._in_text


class _Vocabulary:
    """Tokens as llguidance sees them, and those that close something, by what they begin with."""

    def __init__(self, chat: ChatTokenizer):
        from llguidance.hf import from_tokenizer

        self.tokenizer: Any = from_tokenizer(chat.tokenizer, eos_token=min(chat.stop_ids))
        self.size = int(self.tokenizer.vocab_size)
        self.data = Vocabulary(chat).data
        first = np.array([(self.data(token) or b"\0")[0] for token in range(self.size)], dtype=np.uint8)
        ends = np.zeros(self.size, dtype=np.bool_)
        ends[list(chat.stop_ids)] = True
        self.closing_text = [first == ord('"')]
        self.closing_value = [ends, (first == ord("}")) | (first == ord("]")), first == ord(",")]


class GrammarMaker:
    """Grammars for one tokenizer; any thread may ask."""

    def __init__(self, tokenizer: ChatTokenizer):
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._vocabulary: _Vocabulary | None = None

    def of_schema(self, schema: Mapping[str, Json] | None) -> Grammar:
        """A grammar for one JSON value.

        Args:
            schema: JSON schema; None is any object.

        Raises:
            GrammarError: the schema is wrong, or asks for something that cannot be held to token by token.
        """
        from llguidance import LLMatcher

        wanted = dict(schema or {"type": "object"})
        vocabulary = self._vocabulary_now()
        try:
            source = LLMatcher.grammar_from_json_schema(json.dumps(wanted), overrides={"whitespace_flexible": False})
        except ValueError as error:
            raise GrammarError(f"The schema cannot be held to: {_first_line(str(error))}.") from None
        if problem := LLMatcher.validate_grammar(source, vocabulary.tokenizer):
            raise GrammarError(f"The schema cannot be held to: {_first_line(problem)}.")
        shortest = json.dumps(_shortest(wanted, wanted))
        return Grammar(source, vocabulary, len(self._tokenizer.tokenizer.encode(shortest)) + MARGIN)

    def _vocabulary_now(self) -> _Vocabulary:
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = _Vocabulary(self._tokenizer)
            return self._vocabulary


def _shortest(schema: Json, root: Mapping[str, Json], depth: int = 0) -> Json:
    """About the shortest value that a schema allows: its length counts, not whether it is valid to the letter."""
    if not isinstance(schema, Mapping) or depth > DEPTH:
        return None
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else max(schema["enum"], key=lambda value: len(json.dumps(value)))
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        found: Json = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return _shortest(found, root, depth + 1)
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return max((_shortest(part, root, depth + 1) for part in schema[choice]), key=lambda v: len(json.dumps(v)))
    properties = schema.get("properties", {})
    if properties or schema.get("type") == "object":
        names = schema.get("required", properties)
        return {name: _shortest(properties.get(name, {}), root, depth + 1) for name in names}
    if schema.get("type") == "array":
        return [_shortest(schema.get("items", {}), root, depth + 1)] * _least(schema, "minItems")
    if schema.get("type") == "string":
        return "x" * _least(schema, "minLength")
    return False


def _least(schema: Mapping[str, Json], key: str) -> int:
    return min(int(schema.get(key, 0)), LONGEST)


def _first_line(text: str) -> str:
    return " ".join(text.split("\n", 1)[0].split()).rstrip(".")
