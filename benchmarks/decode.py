"""Decoding alone: 64 different prompts, 64 new tokens each, by the engine and by `transformers`' generate, in turn.

    .venv/bin/python benchmarks/decode.py MODEL GSM8K_FOLDER PAIRS

Both sample at temperature 1 from the same fp32 weights in one process with the same threads, prefill included, and no
answer may end early. Prints one figure as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from paired import paired_figure
from transformers import AutoModelForCausalLM

from tuneward.engine.attention import ATTENTION
from tuneward.engine.draw import sample_seed
from tuneward.engine.forward import PackedModel
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import load_base, set_threads
from tuneward.models.resolve import resolve

ROWS, PROMPT_TOKENS, NEW_TOKENS = 64, 16, 64


def main() -> None:
    model, gsm8k, pairs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    set_threads(None)
    folder = resolve(model)
    tokenizer = ChatTokenizer.load(folder)
    lines = (gsm8k / "test.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [tokenizer.tokenizer.encode(json.loads(line)["question"]) for line in lines]
    # All of one length, so that the peer pads nothing.
    prompts = [question[:PROMPT_TOKENS] for question in questions if len(question) >= PROMPT_TOKENS][:ROWS]
    engine = PackedModel(load_base(folder, model, attention=ATTENTION))
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ours, peer = [], []
    for pair in range(-1, pairs):  # the first pair warms both up and is not counted
        seconds = (decode_ours(engine, prompts, pair + 1), decode_peer(plain, prompts))
        if pair >= 0:
            ours.append(ROWS * NEW_TOKENS / seconds[0])
            peer.append(ROWS * NEW_TOKENS / seconds[1])
    print(json.dumps(paired_figure("decode", ours, peer, "tokens/s")))


def decode_ours(engine: PackedModel, prompts: list[list[int]], step: int) -> float:
    seeds = [sample_seed(0, step, str(row), 0) for row in range(len(prompts))]
    started = time.perf_counter()
    with engine.merged():
        samples = sample_tokens(engine, prompts, range(len(prompts)), seeds, frozenset(), SamplingParams(NEW_TOKENS))
    assert all(len(sample.token_ids) == NEW_TOKENS for sample in samples)
    return time.perf_counter() - started


@torch.inference_mode()
def decode_peer(model: torch.nn.Module, prompts: list[list[int]]) -> float:
    tokens = torch.tensor(prompts)
    started = time.perf_counter()
    out = model.generate(  # type: ignore[operator]
        tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert out.shape == (len(prompts), PROMPT_TOKENS + NEW_TOKENS)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
