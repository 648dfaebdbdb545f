"""The engine: the two calls that training and inference need, `sample` and `logprobs`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from tuneward.engine.draw import sample_seed
from tuneward.engine.forward import PackedModel
from tuneward.engine.record import ForwardRecord
from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens
from tuneward.engine.scorer import Pair, completion_logprobs
from tuneward.models.chat import ChatTokenizer
from tuneward.types import Completion, Group, Prompt

OnCompletion = Callable[[Prompt, Completion], None]
"""Called with each completion as soon as it is whole, in the order in which they end."""


class Engine:
    """Samples from and scores with one model in this process.

    Args:
        model: base model or policy, loaded with the engine's attention.
        tokenizer: its chat tokenizer.
        max_rows: samples decoded together at most; more are done in waves.
    """

    def __init__(self, model: PackedModel, tokenizer: ChatTokenizer, *, max_rows: int = 512):
        self.model = model
        self.tokenizer = tokenizer
        self.max_rows = max_rows

    def sample(
        self,
        prompts: Sequence[Prompt],
        n: int,
        params: SamplingParams,
        *,
        run_seed: int,
        step: int,
        on_completion: OnCompletion | None = None,
        record: ForwardRecord | None = None,
    ) -> list[Group]:
        """Sample n completions of each prompt.

        Each sample's random numbers derive from (run seed, step, prompt id, sample index) alone.

        Args:
            prompts: distinct ids.
            n: completions per prompt.
            params: temperature and limits.
            run_seed, step: identity of this rollout.
            on_completion: called as soon as a completion has ended, while others still decode.
            record: keeps what the model computes, for an update of this very policy.

        Returns:
            One group per prompt, in order.

        Raises:
            NonFiniteError: non-finite logits.
        """
        groups: list[Group] = []
        wave = max(1, self.max_rows // n)
        with self.model.merged(record):
            for start in range(0, len(prompts), wave):
                groups += self._wave(prompts[start : start + wave], n, params, run_seed, step, on_completion, record)
        return groups

    def _wave(
        self,
        prompts: Sequence[Prompt],
        n: int,
        params: SamplingParams,
        run_seed: int,
        step: int,
        on_completion: OnCompletion | None,
        record: ForwardRecord | None,
    ) -> list[Group]:
        drawn: list[list[Completion | None]] = [[None] * n for _ in prompts]

        def note(number: int, sample: SampledTokens) -> None:
            if sample.finish_reason is None:
                return
            prompt, index = divmod(number, n)
            drawn[prompt][index] = completion = self._completion(index, sample)
            if on_completion is not None:
                on_completion(prompts[prompt], completion)

        sample_tokens(
            self.model,
            [prompt.token_ids for prompt in prompts],
            [prompt for prompt in range(len(prompts)) for _ in range(n)],
            [sample_seed(run_seed, step, prompt.id, index) for prompt in prompts for index in range(n)],
            self.tokenizer.stop_ids,
            params,
            on_token=note,
            record=record,
        )
        return [group_of(prompt, completions) for prompt, completions in zip(prompts, drawn, strict=True)]

    def _completion(self, index: int, sample: SampledTokens) -> Completion:
        assert sample.finish_reason is not None
        return Completion(
            index=index,
            token_ids=tuple(sample.token_ids),
            logprobs=tuple(sample.logprobs),
            entropies=tuple(sample.entropies),
            text=self.tokenizer.decode(sample.token_ids),
            finish_reason=sample.finish_reason,
        )

    def logprobs(self, pairs: Sequence[Pair], temperature: float, record: ForwardRecord | None = None) -> Tensor:
        """See `completion_logprobs`."""
        return completion_logprobs(self.model, pairs, temperature, record)


def group_of(prompt: Prompt, completions: Sequence[Completion | None]) -> Group:
    """The group of a prompt whose completions have all ended."""
    return Group(prompt, tuple(completion for completion in completions if completion is not None))
