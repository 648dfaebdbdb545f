"""Answers held to a schema: whatever a model would like to say, what it says is valid, within its limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

from tuneward.engine.serving.grammar import Grammar, GrammarError, GrammarMaker
from tuneward.models.chat import ChatTokenizer

VERDICT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "why": {"type": "string"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}},
        "score": {"type": "number"},
    },
    "required": ["why", "parts", "score"],
    "additionalProperties": False,
    "$defs": {
        "part": {
            "type": "object",
            "properties": {"name": {"enum": ["form", "content"]}, "good": {"type": "boolean"}},
            "required": ["name", "good"],
            "additionalProperties": False,
        }
    },
}


@pytest.fixture(scope="module")
def tokenizer(tiny_chat_model: Path) -> ChatTokenizer:
    return ChatTokenizer.load(tiny_chat_model)


@pytest.fixture(scope="module")
def maker(tokenizer: ChatTokenizer) -> GrammarMaker:
    return GrammarMaker(tokenizer)


def babble(grammar: Grammar, tokenizer: ChatTokenizer, *, seed: int, limit: int) -> str:
    """Random tokens among those that are allowed."""
    guide, chance = grammar.guide(), torch.Generator().manual_seed(seed)
    answer: list[int] = []
    while len(answer) < limit and not guide.is_complete:
        allowed = guide.allowed(len(tokenizer.tokenizer) + 3, limit - len(answer))
        assert not allowed[len(tokenizer.tokenizer) :].any()
        answer.append(int(torch.multinomial(allowed.float(), 1, generator=chance)))
        if answer[-1] in tokenizer.stop_ids:
            break
        guide.take(answer[-1])
    return tokenizer.decode(answer)


@pytest.mark.parametrize("limit", [90, 120, 300])
def test_random_tokens_give_a_valid_object_within_the_limit(
    maker: GrammarMaker, tokenizer: ChatTokenizer, limit: int
) -> None:
    grammar = maker.of_schema(VERDICT)
    for seed in range(8):
        jsonschema.validate(json.loads(babble(grammar, tokenizer, seed=seed, limit=limit)), VERDICT)


def test_without_a_limit_a_text_is_not_cut_short(maker: GrammarMaker, tokenizer: ChatTokenizer) -> None:
    guide = maker.of_schema(VERDICT).guide()
    for token in tokenizer.tokenizer.encode('{"why":"'):
        guide.take(token)
    letter = tokenizer.tokenizer.encode("a")[0]
    assert guide.allowed(len(tokenizer.tokenizer))[letter]
    assert guide.allowed(len(tokenizer.tokenizer), left=1000)[letter]
    assert not guide.allowed(len(tokenizer.tokenizer), left=10)[letter]


def test_a_quote_after_a_backslash_does_not_end_a_text(maker: GrammarMaker, tokenizer: ChatTokenizer) -> None:
    guide = maker.of_schema(VERDICT).guide()
    brace, quote = (tokenizer.tokenizer.encode(character)[0] for character in '}"')
    for token in tokenizer.tokenizer.encode('{"why":"\\\\ \\"'):
        guide.take(token)
    near_the_end = guide.allowed(len(tokenizer.tokenizer), left=5)
    assert near_the_end[quote]
    assert not near_the_end[brace]  # it would only be a part of the text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "https://example.org/schema.json"},
        {"type": "string", "pattern": "^(?=x)"},
    ],
)
def test_what_cannot_be_held_to_is_refused_with_the_reason(maker: GrammarMaker, schema: dict[str, Any]) -> None:
    with pytest.raises(GrammarError, match=r"cannot be held to: \w"):
        maker.of_schema(schema)


def test_no_schema_is_any_object(maker: GrammarMaker, tokenizer: ChatTokenizer) -> None:
    grammar = maker.of_schema(None)
    assert all(isinstance(json.loads(babble(grammar, tokenizer, seed=seed, limit=80)), dict) for seed in range(6))
