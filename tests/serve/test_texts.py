"""Plain texts that a model goes on with, asked with OpenAI's own client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pytest
from tests.serving import greedy

from tuneward.models.chat import ChatTokenizer

NEVER_END: Any = {"2": -100}
"""A bias against the token that ends an answer."""


@pytest.fixture(scope="module")
def tokenizer(tiny_chat_model: Path) -> Any:
    return ChatTokenizer.load(tiny_chat_model)


def ask(client: openai.OpenAI, prompt: Any = "Once upon", model: str = "tuned-0", **options: Any) -> Any:
    return client.completions.create(
        model=model, prompt=prompt, **{"temperature": 0, "max_tokens": 6, "logit_bias": NEVER_END} | options
    )


def tokens_of(tokenizer: ChatTokenizer, text: str) -> list[int]:
    return list(tokenizer.tokenizer(text)["input_ids"])


def test_a_text_goes_on_as_the_model_does_without_its_chat_template(
    client: openai.OpenAI, tokenizer: Any, tiny_chat_model: Path, adapters: list[Path]
) -> None:
    prompt = tokens_of(tokenizer, "Once upon")
    for model, adapter in (("owner/tiny", None), ("tuned-0", adapters[0])):
        expected = tokenizer.decode(greedy(tiny_chat_model, adapter, prompt, 6))
        answer = ask(client, model=model, logit_bias=None)
        assert answer.choices[0].text == expected
    assert (answer.object, answer.model, answer.id[:5]) == ("text_completion", "tuned-0", "cmpl-")
    assert answer.usage.prompt_tokens == len(prompt)


def test_tokens_are_a_prompt_too(client: openai.OpenAI, tokenizer: Any) -> None:
    text = ask(client).choices[0].text
    assert ask(client, tokens_of(tokenizer, "Once upon")).choices[0].text == text


def test_each_prompt_has_its_choices_in_order(client: openai.OpenAI, tokenizer: Any) -> None:
    prompts = ["Once upon", "A", "The end of"]
    alone = [ask(client, prompt) for prompt in prompts]
    answer = ask(client, prompts, n=2)
    assert [choice.index for choice in answer.choices] == list(range(6))
    assert [choice.text for choice in answer.choices] == [one.choices[0].text for one in alone for _ in range(2)]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage.prompt_tokens == sum(one.usage.prompt_tokens for one in alone)
    assert answer.usage.completion_tokens == 36
    numbers = ask(client, [tokens_of(tokenizer, prompt) for prompt in prompts])
    assert [choice.text for choice in numbers.choices] == [one.choices[0].text for one in alone]


def test_streamed_parts_make_up_the_same_answer(client: openai.OpenAI) -> None:
    options: Any = {"prompt": ["Once upon", "A"], "n": 2, "logprobs": 2}
    whole = ask(client, **options)
    texts, reasons, tokens, offsets = [""] * 4, [""] * 4, [[] for _ in range(4)], [[] for _ in range(4)]
    usage = None
    for chunk in ask(client, **options, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
            if choice.logprobs:
                tokens[choice.index] += choice.logprobs.tokens
                offsets[choice.index] += choice.logprobs.text_offset
    assert texts == [choice.text for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert tokens == [choice.logprobs.tokens for choice in whole.choices]
    assert offsets == [choice.logprobs.text_offset for choice in whole.choices]
    assert usage.total_tokens == whole.usage.total_tokens


def test_log_probs_stand_side_by_side(client: openai.OpenAI) -> None:
    found = ask(client, logprobs=2, logit_bias=None).choices[0].logprobs
    assert len(found.tokens) == len(found.token_logprobs) == len(found.top_logprobs) == len(found.text_offset)
    chosen = [top[token] for token, top in zip(found.tokens, found.top_logprobs, strict=True)]
    assert chosen == found.token_logprobs == [max(top.values()) for top in found.top_logprobs]
    assert {len(top) for top in found.top_logprobs} == {2}
    assert ask(client).choices[0].logprobs is None


def test_a_log_prob_s_place_is_where_its_token_begins_in_the_text(client: openai.OpenAI) -> None:
    choice = ask(client, logprobs=0, max_tokens=24).choices[0]
    whole = [n for n, token in enumerate(choice.logprobs.tokens) if not token.startswith("bytes:")]
    assert 2 < len(whole) < 24
    for number in whole:
        token, place = choice.logprobs.tokens[number], choice.logprobs.text_offset[number]
        assert choice.text[place:].startswith(token)


def test_a_stop_text_ends_an_answer_and_is_no_part_of_it(client: openai.OpenAI) -> None:
    text = ask(client).choices[0].text
    stopped = ask(client, stop=text[2]).choices[0]
    assert (stopped.text, stopped.finish_reason) == (text[: text.index(text[2])], "stop")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "…"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"prompt": [100_000]}, "prompt"),
        ({"prompt": [[1, -1]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
        ({"model": "nobody"}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_name(client: openai.OpenAI, changes: Any, param: str) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        ask(client, **changes)
    assert refused.value.status_code in (400, 404)
    assert str(refused.value.param).startswith(param)


def test_an_empty_or_an_endless_prompt_is_refused(client: openai.OpenAI) -> None:
    for prompt in ("", "a" * 300):
        with pytest.raises(openai.BadRequestError, match="this model takes 1 to 255"):
            ask(client, prompt)
    with pytest.raises(openai.BadRequestError, match="this model takes 1 to 255"):
        ask(client, ["fits", "a" * 300], stream=True)
