"""`tuneward generate` and `tuneward chat`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuneward.cli.common import AsJson, Root, out, print_json
from tuneward.errors import ConfigError

if TYPE_CHECKING:
    from tuneward.engine.engine import Engine
    from tuneward.types import Message

Name = Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run (its tuned model) or a model.")]
System = Annotated[str | None, typer.Option(help="System message.")]
MaxTokens = Annotated[int, typer.Option(min=1, help="Longest answer, tokens.")]
Temperature = Annotated[float, typer.Option(min=0, help="0 is greedy.")]
TopP = Annotated[float, typer.Option(min=0.01, max=1, help="Nucleus share.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same answer.")]


def generate(
    name: Name,
    prompt: Annotated[str | None, typer.Argument(help="User message; read from stdin when left out.")] = None,
    system: System = None,
    n: Annotated[int, typer.Option("-n", min=1, help="Answers.")] = 1,
    max_tokens: MaxTokens = 256,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: Seed = None,
    root: Root = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Answer one prompt."""
    from tuneward.engine.sampler import SamplingParams
    from tuneward.runs.prepare import engine_for
    from tuneward.types import Prompt, Row

    text = prompt if prompt is not None else sys.stdin.read()
    if not text.strip():
        raise ConfigError("The prompt is empty; give it as an argument or on stdin.")
    engine = engine_for(name, root=root)
    row = Row("prompt", tuple(_messages(system, text)))
    groups = engine.sample(
        [Prompt(row, engine.tokenizer.render(row))],
        n,
        SamplingParams(max_tokens, temperature, top_p),
        run_seed=secrets.randbits(31) if seed is None else seed,
        step=0,
    )
    completions = groups[0].completions
    if as_json:
        print_json(
            [
                {
                    "text": completion.text,
                    "finish_reason": str(completion.finish_reason),
                    "completion_tokens": len(completion.token_ids),
                    "logprob": sum(completion.logprobs),
                }
                for completion in completions
            ]
        )
        return
    for completion in completions:
        typer.echo(completion.text)


def chat(
    name: Name,
    system: System = None,
    max_tokens: MaxTokens = 512,
    temperature: Temperature = 0.7,
    top_p: TopP = 0.95,
    seed: Seed = None,
    root: Root = Path("runs"),
) -> None:
    """Talk to a model; an empty line or Ctrl-D ends it."""
    from tuneward.runs.prepare import engine_for

    engine = engine_for(name, root=root)
    console = out()
    console.print(f"[dim]{name}; an empty line ends the chat[/]")
    messages: list[Message] = _messages(system, None)
    turn = 0
    run_seed = secrets.randbits(31) if seed is None else seed
    while True:
        try:
            line = console.input("[bold]you[/] ")
        except EOFError:
            return
        if not line.strip():
            return
        messages.append({"role": "user", "content": line})
        with engine.model.merged():
            answer = _stream_answer(engine, messages, max_tokens, temperature, top_p, run_seed, turn)
        messages.append({"role": "assistant", "content": answer})
        turn += 1


def _messages(system: str | None, user: str | None) -> list[Message]:
    messages: list[Message] = []
    if system is not None:
        messages.append({"role": "system", "content": system})
    if user is not None:
        messages.append({"role": "user", "content": user})
    return messages


def _stream_answer(
    engine: Engine, messages: list[Message], max_tokens: int, temperature: float, top_p: float, seed: int, turn: int
) -> str:
    """Print an answer token by token and return it."""
    from tuneward.engine.draw import sample_seed
    from tuneward.engine.sampler import SampledTokens, SamplingParams, sample_tokens

    shown = ""

    def show(_number: int, sample: SampledTokens) -> None:
        nonlocal shown
        text = engine.tokenizer.decode(sample.token_ids)
        if not text.endswith("\ufffd"):  # half of a multi-byte character: wait for its rest
            sys.stdout.write(text[len(shown) :])
            sys.stdout.flush()
            shown = text

    sampled: list[Any] = sample_tokens(
        engine.model,
        [engine.tokenizer.render_messages(tuple(messages))],
        [0],
        [sample_seed(seed, turn, "chat", 0)],
        engine.tokenizer.stop_ids,
        SamplingParams(max_tokens, temperature, top_p),
        on_token=show,
    )
    sys.stdout.write("\n")
    return engine.tokenizer.decode(sampled[0].token_ids)
