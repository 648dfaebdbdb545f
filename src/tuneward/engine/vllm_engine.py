"""vLLM as the sampler: token ids go out and come back over HTTP, and only the adapter is ever sent.

Log-probs with gradients stay with the model in this process. The server keeps the base weights it loaded; before
sampling it is given the adapter, see `ServedAdapter`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tuneward.engine.draw import sample_seed
from tuneward.engine.engine import Engine, OnCompletion, group_of
from tuneward.engine.forward import PackedModel
from tuneward.engine.record import ForwardRecord
from tuneward.engine.sampler import SampledTokens, SamplingParams
from tuneward.engine.vllm_adapter import ServedAdapter
from tuneward.engine.vllm_client import RefusedError, VllmClient, check_model, check_version
from tuneward.errors import EngineError, NonFiniteError
from tuneward.models.chat import ChatTokenizer
from tuneward.types import Completion, FinishReason, Group, Prompt

PLAIN_SAMPLING = {
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Everything that would bend the distribution, off; what a request leaves out, the server takes from the model's
generation_config.json."""

LOWEST_LOGPROB = -9999.0
"""What the server says instead of minus infinity."""


class VllmEngine(Engine):
    """Samples with a vLLM server and scores with the model in this process.

    Args:
        policy: a `peft.PeftModel`; its adapter `default` is what the server samples with.
        packed: the same model, for log-probs.
        tokenizer: its chat tokenizer.
        client: of a healthy server.
        base_names: names or paths under which the server may list the base model.
        context_tokens: of the longest prompt and completion together.
        concurrency: completions requested at the same time.
        adapter_folder: an empty folder to hand adapters over in; the server reads it under the same path.

    Raises:
        EngineError: the server's version is untested, it serves another model, or its context is too short.
    """

    def __init__(
        self,
        policy: Any,
        packed: PackedModel,
        tokenizer: ChatTokenizer,
        client: VllmClient,
        *,
        base_names: Collection[str],
        context_tokens: int,
        concurrency: int,
        adapter_folder: Path,
    ):
        super().__init__(packed, tokenizer)
        self._client = client
        self._concurrency = concurrency
        self._adapter = ServedAdapter(policy, client, adapter_folder)
        check_version(str(client.get("/version").get("version")), client.url)
        check_model(client.get("/v1/models")["data"], base_names, context_tokens, client.url)

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
        """See `Engine.sample`; the server has the newest adapter before it is asked.

        vLLM tells no entropies. At a temperature above 0 each token's -log-prob stands for them, an unbiased estimate
        of the entropy at its position; greedy decoding has none.

        Args:
            record: left as it is; nothing is computed here that an update could take over.

        Raises:
            NonFiniteError: a log-prob that is not finite.
            EngineError: the server ended, does not answer, or answers what was not asked.
        """
        del record
        model = self._adapter.synchronise()
        drawn: list[list[Completion | None]] = [[None] * n for _ in prompts]
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="vllm") as pool:
            place: dict[Future[SampledTokens], tuple[int, int]] = {
                pool.submit(self._complete, model, prompt, sample_seed(run_seed, step, prompt.id, j), params): (i, j)
                for i, prompt in enumerate(prompts)
                for j in range(n)
            }
            try:
                for future in as_completed(place):
                    i, j = place[future]
                    drawn[i][j] = completion = self._completion(j, future.result())
                    if on_completion is not None:
                        on_completion(prompts[i], completion)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [group_of(prompt, completions) for prompt, completions in zip(prompts, drawn, strict=True)]

    def close(self) -> None:
        """Take the adapter off the server, where it still answers."""
        self._adapter.close()

    def _complete(self, model: str, prompt: Prompt, seed: int, params: SamplingParams) -> SampledTokens:
        request = {
            "model": model,
            "prompt": list(prompt.token_ids),
            "seed": seed >> 1,  # the server takes signed 64-bit seeds and reads -1 as none
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            **PLAIN_SAMPLING,
            "stop_token_ids": sorted(self.tokenizer.stop_ids),
            "logprobs": 0,
            "return_token_ids": True,
        }
        try:
            answer = self._client.post("/v1/completions", request)
        except RefusedError as error:
            if "not JSON compliant" in error.text:  # how the server puts a NaN among its log-probs
                raise NonFiniteError("vLLM's model produced NaN or infinite log-probs while sampling.") from None
            raise
        try:
            (choice,) = answer["choices"]
            token_ids, logprobs = choice["token_ids"], choice["logprobs"]["token_logprobs"]
            reason, prompt_ids = choice["finish_reason"], choice["prompt_token_ids"]
        except (KeyError, TypeError, ValueError):
            raise EngineError(f"{self._client.url}/v1/completions leaves out what was asked for.") from None
        if prompt_ids != list(prompt.token_ids) or not token_ids or len(token_ids) != len(logprobs):
            raise EngineError(f"{self._client.url}/v1/completions answers another prompt, or not one log-prob a token.")
        if reason not in (FinishReason.STOP, FinishReason.LENGTH):
            raise EngineError(f"vLLM ended a completion of {prompt.id} with the reason {reason}; see its log.")
        if not all(value is not None and math.isfinite(value) and value > LOWEST_LOGPROB for value in logprobs):
            raise NonFiniteError("vLLM answered log-probs that are not finite.")
        entropies = [-value for value in logprobs] if params.temperature > 0 else []
        return SampledTokens(token_ids, logprobs, entropies, FinishReason(reason))
