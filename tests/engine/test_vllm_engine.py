"""Sampling through a server that speaks vLLM's dialect: what is sent, what comes back, and what goes wrong."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.engine.vllm_stand_in import StandIn, running
from tests.rollouts import move

from tuneward.config import Config, parse_config
from tuneward.engine.draw import sample_seed
from tuneward.engine.engine import Engine
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.engine.vllm_adapter import adapter_digest
from tuneward.errors import EngineError, NonFiniteError
from tuneward.models.chat import ChatTokenizer
from tuneward.rl.measure import rollout_numbers
from tuneward.rl.policy import Policy
from tuneward.rl.rollout import Rollout
from tuneward.runs.prepare import build_policy
from tuneward.runs.rollout_engine import rollout_engine
from tuneward.types import Completion, FinishReason, Group, Prompt, Row

PARAMS = SamplingParams(12)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("tuneward.engine.vllm_client.RETRY_WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.delenv("VLLM_API_KEY", raising=False)


@pytest.fixture
def server(tiny_chat_model: Path) -> Iterator[StandIn]:
    with running(StandIn(tiny_chat_model)) as stand_in:
        yield stand_in


@dataclasses.dataclass
class Bench:
    """A policy, and an engine that samples from it through the server; `connect` says how."""

    server: StandIn
    model: Path
    stack: ExitStack
    handover: Path
    policy: Policy = dataclasses.field(init=False)
    tokenizer: ChatTokenizer = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.tokenizer = ChatTokenizer.load(self.model)
        self.policy = build_policy(self.config(), self.model, 10)

    def config(self, **rollout: Any) -> Config:
        tree: dict[str, Any] = {
            "model": str(self.model),
            "data": {"train": "train.jsonl", "max_prompt_length": 100},
            "reward": {"file": "reward.py"},
            "lora": {"r": 4},
            "training": {"max_completion_tokens": 28},
            "rollout": {"engine": "vllm", "url": self.server.url, "adapter_folder": str(self.handover)} | rollout,
        }
        return parse_config(tree)

    def connect(self, **rollout: Any) -> Engine:
        return self.stack.enter_context(
            rollout_engine(self.config(**rollout), self.policy, self.tokenizer, self.handover / "vllm.log")
        )

    def prompts(self, count: int) -> list[Prompt]:
        rows = [Row(f"r{i}", ({"role": "user", "content": f"Question {i}"},)) for i in range(count)]
        return [Prompt(row, self.tokenizer.render(row)) for row in rows]


@pytest.fixture
def bench(server: StandIn, tiny_chat_model: Path, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(server, tiny_chat_model, stack, tmp_path)


def completions(groups: list[Group]) -> list[Completion]:
    return [completion for group in groups for completion in group.completions]


def difference(engine: Engine, groups: list[Group], temperature: float = 1.0) -> float:
    """Largest |policy log-prob in this process - sampler log-prob| of any token."""
    pairs = [(group.prompt.token_ids, c.token_ids) for group in groups for c in group.completions]
    with torch.no_grad():
        here = engine.logprobs(pairs, temperature)
    return float((here - torch.tensor([value for c in completions(groups) for value in c.logprobs])).abs().max())


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_samples_are_those_of_the_policy_with_each_samples_own_seed(bench: Bench, temperature: float) -> None:
    move(bench.policy)
    prompts, params = bench.prompts(3), SamplingParams(12, temperature=temperature)
    groups = bench.connect().sample(prompts, 4, params, run_seed=3, step=2)
    seeds = [sample_seed(3, 2, prompt.id, index) >> 1 for prompt in prompts for index in range(4)]
    owners = [i for i in range(3) for _ in range(4)]
    token_ids = [prompt.token_ids for prompt in prompts]
    expected = sample_tokens(bench.policy.packed, token_ids, owners, seeds, bench.tokenizer.stop_ids, params)
    assert [group.prompt for group in groups] == prompts
    assert [c.index for c in completions(groups)] == [0, 1, 2, 3] * 3
    for ours, theirs in zip(completions(groups), expected, strict=True):
        assert list(ours.token_ids) == theirs.token_ids
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
        assert ours.finish_reason == theirs.finish_reason
        assert ours.text == bench.tokenizer.decode(theirs.token_ids)
    assert len({ours.token_ids for ours in completions(groups)}) > 3 or temperature == 0


def test_after_an_update_the_server_samples_from_the_new_adapter_alone(bench: Bench) -> None:
    engine, prompts, names = bench.connect(), bench.prompts(2), []
    for seed in (1, 2, 3):
        before = engine.sample(prompts, 4, PARAMS, run_seed=0, step=seed)
        assert difference(engine, before) < 1e-4
        (name,) = bench.server.adapters
        names.append(name)
        assert Path(bench.server.adapters[name][0]).name == name
        assert [folder.name for folder in Path(bench.server.adapters[name][0]).parent.iterdir()] == [name]
        move(bench.policy, seed=seed)
        assert difference(engine, before) > 0.1  # so that the equality says something
    assert len(set(names)) == 3
    unloaded = [body["lora_name"] for body in bench.server.sent("/v1/unload_lora_adapter")]
    assert unloaded == names[:2]
    assert {body["model"] for body in bench.server.sent("/v1/completions")} == set(names)


def test_an_unchanged_adapter_is_not_sent_again(bench: Bench) -> None:
    engine = bench.connect()
    first = engine.sample(bench.prompts(1), 2, PARAMS, run_seed=0, step=1)
    assert completions(engine.sample(bench.prompts(1), 2, PARAMS, run_seed=0, step=1)) == completions(first)
    assert len(bench.server.sent("/v1/load_lora_adapter")) == 1


def test_the_adapter_that_is_sent_is_in_full_precision_and_alone(bench: Bench) -> None:
    from safetensors.torch import load_file

    move(bench.policy)
    bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)
    ((folder, _),) = bench.server.adapters.values()
    tensors = load_file(Path(folder) / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in tensors)
    assert sum(tensor.numel() for tensor in tensors.values()) == sum(p.numel() for p in bench.policy.parameters)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_the_digest_changes_with_any_value_however_it_was_written_and_comes_back_with_it(bench: Bench) -> None:
    start = adapter_digest(bench.policy.model)
    seen = {start}
    for parameter in bench.policy.parameters:
        kept = parameter.detach().clone()
        parameter.data.view(-1)[-1] += 1e-6  # leaves the parameter's version counter as it was
        seen.add(adapter_digest(bench.policy.model))
        parameter.data.copy_(kept)
    assert len(seen) == 1 + len(bench.policy.parameters)
    assert adapter_digest(bench.policy.model) == start
    bench.policy.model.peft_config["default"].lora_alpha *= 2
    assert adapter_digest(bench.policy.model) != start


def test_closing_takes_the_adapter_off_the_server_and_leaves_no_files(bench: Bench) -> None:
    bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)
    assert len(bench.server.adapters) == 1
    bench.stack.close()
    assert bench.server.adapters == {}
    assert list(bench.handover.iterdir()) == []


def test_an_adapter_already_on_the_server_under_its_name_is_used(bench: Bench) -> None:
    bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)
    second = bench.connect()  # as after a run that was killed
    assert difference(second, second.sample(bench.prompts(1), 2, PARAMS, run_seed=0, step=1)) < 1e-4


@pytest.mark.parametrize("version", ["0.32.0", "0.33.1.post1+cu129"])
def test_a_tested_version_is_taken(bench: Bench, version: str) -> None:
    bench.server.version = version
    bench.connect()


@pytest.mark.parametrize("version", ["0.31.9", "0.34.0", "1.32.0", "dev"])
def test_another_version_is_refused_with_what_to_install(bench: Bench, version: str) -> None:
    bench.server.version = version
    with pytest.raises(EngineError, match=rf'runs vLLM {version}, .*Install "vllm>=0\.32,<0\.34"'):
        bench.connect()


def test_another_model_is_refused_with_the_names(bench: Bench) -> None:
    bench.server.model, bench.server.name = Path("/models/other"), "other"
    with pytest.raises(EngineError, match=r"serves other, not .*tiny.*--served-model-name"):
        bench.connect()
    bench.server.name = str(bench.model)  # as --served-model-name does
    bench.connect()


def test_an_adapter_is_not_taken_for_the_base_model(bench: Bench) -> None:
    bench.server.adapters[str(bench.model)] = ("/somewhere", bench.server.base)
    bench.server.model, bench.server.name = Path("/models/other"), "other"
    with pytest.raises(EngineError, match="serves other, not"):
        bench.connect()


def test_a_context_too_short_for_prompt_and_completion_is_refused(bench: Bench) -> None:
    bench.server.context = 128
    bench.connect()
    bench.server.context = 127
    with pytest.raises(EngineError, match=r"127 tokens, but .* is 128\. .*--max-model-len 128"):
        bench.connect()


def test_a_server_without_runtime_loading_is_refused_with_what_to_set(bench: Bench) -> None:
    bench.server.allows_loading = False
    with pytest.raises(EngineError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
        bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)


def test_finish_reasons_are_the_servers_and_the_stop_token_belongs_to_the_completion(bench: Bench) -> None:
    bench.tokenizer = dataclasses.replace(bench.tokenizer, stop_ids=frozenset(range(3, 60)))
    ended = completions(bench.connect().sample(bench.prompts(2), 8, SamplingParams(6), run_seed=0, step=1))
    assert {c.finish_reason for c in ended} == {FinishReason.STOP, FinishReason.LENGTH}
    for c in ended:
        stops = [token in bench.tokenizer.stop_ids for token in c.token_ids]
        assert not any(stops[:-1])
        assert stops[-1] is (c.finish_reason is FinishReason.STOP)
        assert len(c.token_ids) == 6 or c.finish_reason is FinishReason.STOP


def test_entropies_are_estimates_and_greedy_decoding_has_none(bench: Bench) -> None:
    engine = bench.connect()
    sampled = engine.sample(bench.prompts(1), 2, PARAMS, run_seed=0, step=1)
    for c in completions(sampled):
        assert c.entropies == tuple(-value for value in c.logprobs)
    mean = sum(sum(c.entropies) for c in completions(sampled)) / sum(len(c.token_ids) for c in completions(sampled))
    assert rollout_numbers(Rollout(tuple(sampled), (), 0.0, 0.0))["entropy"] == pytest.approx(mean)
    greedy = engine.sample(bench.prompts(1), 2, SamplingParams(12, temperature=0), run_seed=0, step=1)
    assert [c.entropies for c in completions(greedy)] == [(), ()]
    assert "entropy" not in rollout_numbers(Rollout(tuple(greedy), (), 0.0, 0.0))


def test_a_completion_is_handed_on_as_soon_as_it_has_ended(bench: Bench) -> None:
    prompts, handed_on = bench.prompts(2), threading.Event()
    seen: list[str] = []

    def second_waits_for_first(body: dict[str, Any]) -> None:
        if body["prompt"] == list(prompts[1].token_ids):
            assert handed_on.wait(30)

    def on_completion(prompt: Prompt, _: Completion) -> None:
        seen.append(prompt.id)
        handed_on.set()

    bench.server.before_sampling = second_waits_for_first
    bench.connect().sample(prompts, 2, PARAMS, run_seed=0, step=1, on_completion=on_completion)
    assert sorted(seen) == ["r0", "r0", "r1", "r1"]
    assert seen[0] == "r0"


def test_as_many_requests_run_at_once_as_configured_and_no_more(bench: Bench) -> None:
    running_now, peak, lock = 0, 0, threading.Lock()
    pair = threading.Barrier(2)
    sample = bench.server._complete

    def counted(body: dict[str, Any]) -> Any:
        nonlocal running_now, peak
        with lock:
            running_now += 1
            peak = max(peak, running_now)
        pair.wait(30)
        answer = sample(body)
        with lock:
            running_now -= 1
        return answer

    bench.server._complete = counted  # type: ignore[method-assign]
    bench.connect(concurrency=2).sample(bench.prompts(3), 4, PARAMS, run_seed=0, step=1)
    assert peak == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_by_itself_is_tried_again_and_changes_no_sample(bench: Bench, status: int) -> None:
    engine = bench.connect(concurrency=1)
    expected = completions(engine.sample(bench.prompts(2), 2, PARAMS, run_seed=0, step=1))
    bench.server.failures = [status, status, status]
    assert completions(engine.sample(bench.prompts(2), 2, PARAMS, run_seed=0, step=1)) == expected
    assert len(bench.server.sent("/v1/completions")) == 4 + 4 + 3


def test_a_server_that_stays_out_of_order_is_given_up_with_its_reason(bench: Bench) -> None:
    engine = bench.connect(concurrency=1)
    bench.server.failures = [503] * 4
    with pytest.raises(EngineError, match=r"does not answer /v1/completions \(status 503, out of order, 4 tries\)"):
        engine.sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)


def test_a_refusal_is_not_tried_again_and_ends_the_rollout(bench: Bench) -> None:
    engine = bench.connect(concurrency=1)
    bench.server.failures = [400]
    with pytest.raises(EngineError, match="refused /v1/completions with status 400: out of order"):
        engine.sample(bench.prompts(4), 8, PARAMS, run_seed=0, step=1)
    assert len(bench.server.sent("/v1/completions")) < 32  # those that had not begun were dropped


def test_a_server_that_vanishes_in_a_rollout_is_named(bench: Bench) -> None:
    engine = bench.connect(concurrency=1)

    def vanish(_: dict[str, Any]) -> None:
        bench.server.socket.close()
        raise ConnectionResetError

    bench.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    bench.server.before_sampling = vanish
    with pytest.raises(EngineError, match=rf"server at {bench.server.url} does not answer .*--resume"):
        engine.sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)


def test_an_adapter_that_makes_nan_is_a_non_finite_error(bench: Bench) -> None:
    engine = bench.connect()
    bench.policy.parameters[0].data.fill_(math.nan)
    with pytest.raises(NonFiniteError):
        engine.sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)


@pytest.mark.parametrize("value", [None, -9999.0, math.inf])
def test_a_log_prob_that_is_no_number_is_a_non_finite_error(bench: Bench, value: float | None) -> None:
    bench.server.mangle = lambda choice: choice["logprobs"]["token_logprobs"].__setitem__(0, value)
    with pytest.raises(NonFiniteError):
        bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)


@pytest.mark.parametrize(
    ("mangle", "message"),
    [
        (lambda choice: choice.pop("token_ids"), "leaves out"),
        (lambda choice: choice.update(logprobs=None), "leaves out"),
        (lambda choice: choice["logprobs"]["token_logprobs"].pop(), "not one log-prob a token"),
        (lambda choice: choice["prompt_token_ids"].append(7), "another prompt"),
        (lambda choice: choice.update(finish_reason="abort"), "with the reason abort"),
    ],
)
def test_an_answer_that_was_not_asked_for_is_refused(bench: Bench, mangle: Callable[[Any], Any], message: str) -> None:
    bench.server.mangle = mangle
    with pytest.raises(EngineError, match=message):
        bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)


def test_a_key_in_the_environment_opens_a_guarded_server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.server.key = "open sesame"
    with pytest.raises(EngineError, match="status 401"):
        bench.connect()
    monkeypatch.setenv("VLLM_API_KEY", "open sesame")
    bench.connect().sample(bench.prompts(1), 1, PARAMS, run_seed=0, step=1)
