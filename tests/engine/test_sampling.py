"""Sampling: distribution, independence of the batch, ends, filters, and what is recorded."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from tests.tiny import tiny_model
from torch import Tensor

from tuneward.config import LoraConfig
from tuneward.engine.attention import ATTENTION
from tuneward.engine.draw import sample_seed
from tuneward.engine.engine import Engine
from tuneward.engine.forward import PackedModel
from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens
from tuneward.errors import NonFiniteError
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import add_adapter, load_base, trainable_parameters
from tuneward.types import FinishReason, Group, Prompt, Row

NEVER: frozenset[int] = frozenset()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny products are slower on many threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


PROMPTS = [(5, 9, 3, 17, 4), (5, 9, 6), (40,), tuple(range(3, 20))]


def adapted(seed: int = 0, dtype: torch.dtype = torch.float64, **changes: Any) -> torch.nn.Module:
    model: torch.nn.Module = add_adapter(
        tiny_model(attention=ATTENTION, dtype=dtype, seed=seed, **changes), LoraConfig(r=4), seed=1
    )
    torch.manual_seed(3)
    for parameter in trainable_parameters(model):
        parameter.data = torch.randn_like(parameter).to(dtype) * 0.2
    return model


class Edited(PackedModel):
    """A model whose logits are changed on their way out."""

    def __init__(self, model: Any, edit: Callable[[Tensor], Tensor]):
        super().__init__(model)
        self.edit = edit

    def logits(self, *arguments: Any) -> Tensor:
        return self.edit(super().logits(*arguments))


def seeds(n: int, prompt: str = "p") -> list[int]:
    return [sample_seed(0, 1, prompt, index) for index in range(n)]


def draw(
    model: PackedModel,
    n: int = 8,
    stop: frozenset[int] = NEVER,
    params: SamplingParams | None = None,
    prompt: tuple[int, ...] = PROMPTS[0],
) -> list[SampledTokens]:
    return sample_tokens(model, [prompt], [0] * n, seeds(n), stop, params or SamplingParams(8))


def full_distribution(model: torch.nn.Module, prefix: tuple[int, ...], temperature: float = 1.0) -> Tensor:
    """Log-probs of the next token by the library's own attention, one sequence alone."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prefix])).logits[0, -1].double()
    return (logits / temperature).log_softmax(-1)


def on_library_attention(**changes: Any) -> torch.nn.Module:
    """The twin of `adapted(**changes)`."""
    model: torch.nn.Module = add_adapter(
        tiny_model(attention="sdpa", dtype=torch.float64, **changes), LoraConfig(r=4), seed=1
    )
    torch.manual_seed(3)
    for parameter in trainable_parameters(model):
        parameter.data = torch.randn_like(parameter).to(torch.float64) * 0.2
    return model


def test_samples_of_a_shared_tree_are_distributed_as_independent_ones() -> None:
    # Five tokens, three places: every completion's probability can be written down, naively.
    stop, length, n, prompt = 2, 3, 4000, (3, 4, 1)
    naive = on_library_attention(vocab_size=5)
    exact: dict[tuple[int, ...], float] = {}

    def extend(prefix: tuple[int, ...], logprob: float) -> None:
        if prefix and (prefix[-1] == stop or len(prefix) == length):
            exact[prefix] = math.exp(logprob)
            return
        for token, value in enumerate(full_distribution(naive, (*prompt, *prefix)).tolist()):
            extend((*prefix, token), logprob + value)

    extend((), 0.0)
    samples = draw(PackedModel(adapted(vocab_size=5)), n, frozenset({stop}), SamplingParams(length), prompt)

    counts = Counter(tuple(sample.token_ids) for sample in samples)
    assert sum(exact.values()) == pytest.approx(1)
    assert set(counts) <= set(exact)
    large = [key for key, share in exact.items() if share * n >= 5]
    observed = [counts[key] for key in large]
    expected = [exact[key] * n for key in large]
    if sum(expected) < n - 1e-6:
        observed.append(n - sum(observed))
        expected.append(n - sum(expected))
    assert stats.chisquare(observed, expected).pvalue > 1e-3


def as_values(samples: list[SampledTokens]) -> list[tuple[list[int], FinishReason | None]]:
    return [(sample.token_ids, sample.finish_reason) for sample in samples]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sample_is_the_same_alone_and_in_any_batch(dtype: torch.dtype) -> None:
    model, stop, params = PackedModel(adapted(dtype=dtype)), frozenset({2, 7}), SamplingParams(10, temperature=0.6)
    everyone = [(prompt, index) for prompt in range(len(PROMPTS)) for index in range(8)]
    seed_of = {(prompt, index): sample_seed(0, 1, f"row-{prompt}", index) for prompt, index in everyone}
    order = np.random.default_rng(0).permutation(len(everyone)).tolist()

    def sampled(who: list[tuple[int, int]]) -> dict[tuple[int, int], SampledTokens]:
        used = list(dict.fromkeys(prompt for prompt, _ in who))
        samples = sample_tokens(
            model,
            [PROMPTS[prompt] for prompt in used],
            [used.index(prompt) for prompt, _ in who],
            [seed_of[key] for key in who],
            stop,
            params,
        )
        return dict(zip(who, samples, strict=True))

    whole = sampled(everyone)
    assert len({tuple(sample.token_ids) for sample in whole.values()}) > 8
    for part in (
        sampled([everyone[i] for i in order]),
        *(sampled([key for key in everyone if key[0] == prompt]) for prompt in range(len(PROMPTS))),
        *(sampled([key]) for key in everyone[::5]),
    ):
        for key, sample in part.items():
            assert (sample.token_ids, sample.finish_reason) == (whole[key].token_ids, whole[key].finish_reason)
            assert sample.logprobs == pytest.approx(whole[key].logprobs, abs=1e-4)


def test_prompts_with_the_same_tokens_are_sampled_side_by_side() -> None:
    model = PackedModel(adapted())
    one, other = seeds(4, "a"), seeds(4, "b")
    together = sample_tokens(
        model, [PROMPTS[0], PROMPTS[0]], [0] * 4 + [1] * 4, one + other, frozenset({2}), SamplingParams(6)
    )
    apart = [
        sample_tokens(model, [PROMPTS[0]], [0] * 4, part, frozenset({2}), SamplingParams(6)) for part in (one, other)
    ]
    assert as_values(together) == as_values(list(itertools.chain(*apart)))


def test_greedy_takes_the_most_likely_token_every_time() -> None:
    naive, prompt = on_library_attention(), PROMPTS[1]
    samples = draw(PackedModel(adapted()), 3, params=SamplingParams(6, temperature=0), prompt=prompt)
    expected: list[int] = []
    logprobs: list[float] = []
    for _ in range(6):
        distribution = full_distribution(naive, (*prompt, *expected))
        expected.append(int(distribution.argmax()))
        logprobs.append(float(distribution.max()))
    assert [sample.token_ids for sample in samples] == [expected] * 3
    assert samples[0].logprobs == pytest.approx(logprobs, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
def test_entropies_and_logprobs_are_those_of_the_full_distribution_at_the_temperature(temperature: float) -> None:
    naive = on_library_attention()
    sample = draw(PackedModel(adapted()), 1, params=SamplingParams(6, temperature=temperature))[0]
    for position, token in enumerate(sample.token_ids):
        logp = full_distribution(naive, (*PROMPTS[0], *sample.token_ids[:position]), temperature)
        assert sample.logprobs[position] == pytest.approx(float(logp[token]), abs=1e-5)
        assert sample.entropies[position] == pytest.approx(float(-(logp.exp() * logp).sum()), abs=1e-5)


def test_any_token_of_the_stop_set_ends_a_sample_and_belongs_to_it() -> None:
    stop = frozenset({2, 7, 30, 31, 32, 33})
    samples = draw(PackedModel(adapted()), 64, stop, SamplingParams(40))
    stopped = [sample for sample in samples if sample.finish_reason is FinishReason.STOP]
    assert len({sample.token_ids[-1] for sample in stopped}) > 2
    for sample in stopped:
        assert sample.token_ids[-1] in stop
    for sample in samples:
        assert not stop & set(sample.token_ids[:-1])
        assert len(sample.token_ids) == len(sample.logprobs) == len(sample.entropies)


def test_only_a_sample_without_a_stop_token_is_finished_by_length() -> None:
    stop = frozenset(range(30))
    samples = draw(PackedModel(adapted()), 32, stop, SamplingParams(3))
    assert {sample.finish_reason for sample in samples} == {FinishReason.STOP, FinishReason.LENGTH}
    for sample in samples:
        if sample.finish_reason is FinishReason.LENGTH:
            assert len(sample.token_ids) == 3
            assert sample.token_ids[-1] not in stop
        else:
            assert sample.token_ids[-1] in stop


def test_a_stop_token_at_the_very_limit_is_a_stop() -> None:
    everything = frozenset(range(97))
    samples = draw(PackedModel(adapted()), 4, everything, SamplingParams(1))
    assert [sample.finish_reason for sample in samples] == [FinishReason.STOP] * 4


def test_one_token_is_a_whole_sample_when_the_limit_is_one() -> None:
    samples = draw(PackedModel(adapted()), 4, NEVER, SamplingParams(1))
    assert [(len(sample.token_ids), sample.finish_reason) for sample in samples] == [(1, FinishReason.LENGTH)] * 4


def test_a_pad_token_that_is_the_stop_token_keeps_its_log_prob() -> None:
    # The tiny model's pad token is its EOS, 2: nothing may be masked by looking at ids.
    naive = on_library_attention()
    samples = draw(PackedModel(adapted()), 64, frozenset({2}), SamplingParams(40))
    ended = next(sample for sample in samples if sample.token_ids[-1] == 2)
    logp = full_distribution(naive, (*PROMPTS[0], *ended.token_ids[:-1]))
    assert ended.logprobs[-1] == pytest.approx(float(logp[2]), abs=1e-5)
    assert ended.logprobs[-1] < 0


def test_a_prompt_may_contain_the_stop_token() -> None:
    samples = draw(PackedModel(adapted()), 4, frozenset({2}), SamplingParams(5), prompt=(2, 5, 2))
    assert all(sample.token_ids for sample in samples)


@pytest.mark.parametrize("top_p", [0.05, 0.4, 0.9])
def test_top_p_draws_from_the_smallest_set_that_reaches_it_and_records_the_policys_numbers(top_p: float) -> None:
    logp = full_distribution(on_library_attention(), PROMPTS[0])
    order = logp.argsort(descending=True).tolist()
    cumulative = logp.exp()[order].cumsum(0)
    nucleus = set(order[: int((cumulative < top_p).sum()) + 1])
    samples = draw(PackedModel(adapted()), 2000, params=SamplingParams(1, top_p=top_p))
    drawn = {sample.token_ids[0] for sample in samples}
    assert drawn <= nucleus
    assert order[0] in drawn
    assert len(drawn) > 0.8 * len(nucleus)
    entropy = float(-(logp.exp() * logp).sum())
    for sample in samples[:20]:
        assert sample.logprobs[0] == pytest.approx(float(logp[sample.token_ids[0]]), abs=1e-5)
        assert sample.entropies[0] == pytest.approx(entropy, abs=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_non_finite_logits_are_an_error(value: float, temperature: float) -> None:
    def spoil(logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[-1, 3] = value
        return logits

    with pytest.raises(NonFiniteError, match="NaN or infinite"):
        draw(Edited(adapted(), spoil), params=SamplingParams(4, temperature=temperature))


def test_logits_that_become_non_finite_while_decoding_are_an_error() -> None:
    calls = itertools.count()
    model = Edited(adapted(), lambda logits: logits * math.nan if next(calls) == 2 else logits)
    with pytest.raises(NonFiniteError):
        draw(model, params=SamplingParams(8))


def test_a_token_the_model_forbids_is_never_drawn_and_leaves_the_entropy_finite() -> None:
    def forbid(logits: Tensor) -> Tensor:
        logits = logits.clone()
        logits[:, 10:] = -torch.inf
        return logits

    samples = draw(Edited(adapted(), forbid), 32, params=SamplingParams(5))
    assert all(token < 10 for sample in samples for token in sample.token_ids)
    assert all(0 <= entropy <= math.log(10) + 1e-6 for sample in samples for entropy in sample.entropies)


def test_the_observer_sees_each_token_once_and_the_reason_with_the_last() -> None:
    seen: list[tuple[int, int, bool]] = []
    model = PackedModel(adapted())
    samples = sample_tokens(
        model,
        PROMPTS[:2],
        [0, 1, 1],
        seeds(3),
        frozenset(range(20)),
        SamplingParams(6),
        on_token=lambda number, sample: seen.append((number, len(sample.token_ids), sample.finish_reason is not None)),
    )
    expected = {
        (number, length, length == len(sample.token_ids))
        for number, sample in enumerate(samples)
        for length in range(1, len(sample.token_ids) + 1)
    }
    assert set(seen) == expected
    assert len(seen) == len(expected)


@pytest.fixture(scope="module")
def chat(tiny_chat_model: Any) -> tuple[PackedModel, ChatTokenizer]:
    return PackedModel(load_base(tiny_chat_model, attention=ATTENTION)), ChatTokenizer.load(tiny_chat_model)


def chat_prompts(tokenizer: ChatTokenizer, count: int) -> list[Prompt]:
    rows = [Row(f"row-{i}", ({"role": "user", "content": "ab" * (i + 1)},)) for i in range(count)]
    return [Prompt(row, tokenizer.render(row)) for row in rows]


def answers(groups: list[Group]) -> dict[str, list[tuple[int, ...]]]:
    return {group.id: [completion.token_ids for completion in group.completions] for group in groups}


def test_the_engine_gives_a_prompt_the_same_completions_in_any_batch(
    chat: tuple[PackedModel, ChatTokenizer],
) -> None:
    model, tokenizer = chat
    prompts, params = chat_prompts(tokenizer, 3), SamplingParams(6)
    engine = Engine(model, tokenizer)
    together = answers(engine.sample(prompts, 8, params, run_seed=5, step=2))
    reversed_ = answers(engine.sample(prompts[::-1], 8, params, run_seed=5, step=2))
    alone = answers(engine.sample(prompts[1:2], 8, params, run_seed=5, step=2))
    single = answers(engine.sample(prompts, 1, params, run_seed=5, step=2))
    in_waves = answers(Engine(model, tokenizer, max_rows=3).sample(prompts, 8, params, run_seed=5, step=2))
    assert reversed_ == together
    assert alone == {"row-1": together["row-1"]}
    assert single == {name: completions[:1] for name, completions in together.items()}
    assert in_waves == together


@pytest.mark.parametrize(("run_seed", "step"), [(6, 2), (5, 3)])
def test_another_run_seed_or_step_draws_other_completions(
    chat: tuple[PackedModel, ChatTokenizer], run_seed: int, step: int
) -> None:
    model, tokenizer = chat
    engine, prompts, params = Engine(model, tokenizer), chat_prompts(tokenizer, 1), SamplingParams(6)
    first = answers(engine.sample(prompts, 4, params, run_seed=5, step=2))
    assert answers(engine.sample(prompts, 4, params, run_seed=run_seed, step=step)) != first


def test_the_engine_hands_over_each_completion_once_and_whole(chat: tuple[PackedModel, ChatTokenizer]) -> None:
    model, tokenizer = chat
    prompts, seen = chat_prompts(tokenizer, 3), []
    groups = Engine(model, tokenizer, max_rows=8).sample(
        prompts, 4, SamplingParams(5), run_seed=0, step=1, on_completion=lambda *ended: seen.append(ended)
    )
    assert [group.id for group in groups] == ["row-0", "row-1", "row-2"]
    assert all([c.index for c in group.completions] == [0, 1, 2, 3] for group in groups)
    handed_over = sorted(seen, key=lambda ended: (ended[0].id, ended[1].index))
    assert handed_over == [(group.prompt, completion) for group in groups for completion in group.completions]


def test_a_completions_text_is_its_tokens_without_the_stop_token(chat: tuple[PackedModel, ChatTokenizer]) -> None:
    model, tokenizer = chat
    stop = max(tokenizer.stop_ids)
    likely = Edited(
        model.model, lambda logits: logits + 6 * torch.nn.functional.one_hot(torch.tensor(stop), logits.shape[-1])
    )
    groups = Engine(likely, tokenizer).sample(chat_prompts(tokenizer, 2), 8, SamplingParams(12), run_seed=0, step=1)
    completions = [completion for group in groups for completion in group.completions]
    stopped = [completion for completion in completions if completion.finish_reason is FinishReason.STOP]
    assert stopped
    for completion in stopped:
        assert completion.token_ids[-1] in tokenizer.stop_ids
        assert completion.text == tokenizer.decode(completion.token_ids[:-1])
        assert "<|" not in completion.text


@pytest.mark.parametrize("wrong", [{"max_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SamplingParams(**({"max_tokens": 4} | wrong))  # type: ignore[arg-type]
