"""Graders that ask a judge: `score_model` for a number, `label_model` for a class.

Source: OpenAI grader contract, 5.5 and 5.6.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tuneward.rewards.judge.client import ModelClient, ModelError, Reply
from tuneward.rewards.openai.case import Case, parse_json
from tuneward.rewards.openai.outcome import FaultError, Outcome, Usage, Wait, faulty
from tuneward.rewards.openai.spec import LabelModel, SamplingParams, ScoreModel
from tuneward.rewards.openai.template import parse_template, render_all
from tuneward.types import Json, Verdict

MAX_TOKENS = 2048
"""Length limit of a judgement, steps included, unless the grader gives one."""

TRIES = 2
"""A judgement that cannot be read is asked for once more."""

SHOWN_TEXT = 200

STEPS: dict[str, Json] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"description": {"type": "string"}, "conclusion": {"type": "string"}},
        "required": ["description", "conclusion"],
        "additionalProperties": False,
    },
}


class ModelEvaluator:
    """Renders the conversation, asks the judge, reads its judgement.

    Args:
        spec: the grader.
        client: reaches judges; shared with other graders, not closed here.
        threads: calls wait here; shared as well.
        limits: of one call, for receipts.
    """

    isolation = "remote"

    def __init__(
        self,
        spec: ScoreModel | LabelModel,
        client: ModelClient,
        threads: ThreadPoolExecutor,
        limits: Mapping[str, float],
    ) -> None:
        self.limits = limits
        self._spec = spec
        self._client = client
        self._threads = threads
        self._params = spec.sampling_params or SamplingParams()
        # `developer` is the name of newer models for what every chat template calls system.
        self._roles = ["system" if message.role == "developer" else message.role for message in spec.input]
        self._templates = [parse_template(message.text) for message in spec.input]

    def start(self, case: Case) -> Wait:
        try:
            return self._threads.submit(self._grade, case).result
        except RuntimeError:  # The threads are closed; those already waiting end as the client does.
            closed = faulty(_server_fault(f"{self._spec.name}: not asked, because the grader was closed."))
            return lambda: closed

    def close(self) -> None:
        """Nothing is held: client and threads belong to who built this."""

    def _grade(self, case: Case) -> Outcome:
        started = time.monotonic()
        used: dict[str, Usage] = {}
        try:
            texts = render_all(self._templates, case)
            messages = [{"role": role, "content": text} for role, text in zip(self._roles, texts, strict=True)]
            reward, judgement = self._judge(messages, used)
            outcome = Outcome(reward, reasons=judgement)
        except FaultError as fault:
            outcome = faulty(fault)
        return replace(outcome, usage=used, wall_s=time.monotonic() - started)

    def _judge(self, messages: list[dict[str, str]], used: dict[str, Usage]) -> tuple[float, Json]:
        problem = ""
        for _ in range(TRIES):
            reply = self._ask(messages)
            used[reply.model] = used.get(reply.model, Usage()) + Usage(
                reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens, calls=1
            )
            if reply.refusal is not None:
                message = f"{self._spec.name}: {reply.model} refused to judge: {_short(reply.refusal)}."
                raise FaultError("model_grader_refusal_error", message, verdict=Verdict.ERROR)
            try:
                judgement = _read_object(reply.text)
                return self._reward(judgement), judgement
            except ValueError as error:
                problem = str(error)
            if reply.is_truncated:
                problem += "; it was cut off, so raise sampling_params.max_completions_tokens"
                break
            messages = [
                *messages,
                {"role": "assistant", "content": reply.text or "(nothing)"},
                {"role": "user", "content": f"That cannot be read: {problem}. Answer with the JSON object alone."},
            ]
        raise FaultError("model_grader_parse_error", f"{self._spec.name}: the judgement cannot be read: {problem}.")

    def _ask(self, messages: list[dict[str, str]]) -> Reply:
        params = self._params
        is_reasoning = params.reasoning_effort not in (None, "none")
        try:
            return self._client.complete(
                messages,
                model=self._spec.model,
                schema=answer_schema(self._spec),
                max_tokens=params.max_completions_tokens or MAX_TOKENS,
                temperature=0.0 if params.temperature is None and not is_reasoning else params.temperature,
                top_p=params.top_p,
                seed=params.seed,
                reasoning_effort=params.reasoning_effort,
            )
        except ModelError as error:
            verdict = Verdict.TIMEOUT if error.kind == "timeout" else Verdict.ERROR
            raise _server_fault(f"{self._spec.name}: {error}", verdict) from None

    def _reward(self, judgement: dict[str, Json]) -> float:
        """The reward in a judgement. Raises ValueError when it holds none."""
        if isinstance(self._spec, LabelModel):
            label = judgement.get("label")
            if label not in self._spec.labels:
                raise ValueError(f"label is {_short(label)}, which is none of {', '.join(self._spec.labels)}")
            return float(label in self._spec.passing_labels)
        result = judgement.get("result")
        if isinstance(result, bool) or not isinstance(result, int | float) or not math.isfinite(result):
            raise ValueError(f"result is {_short(result)}, which is no number")
        low, high = self._spec.range
        return min(max(float(result), low), high)


def answer_schema(spec: ScoreModel | LabelModel) -> dict[str, Json]:
    """JSON schema of a judgement: steps first, so that the number or class follows from them."""
    if isinstance(spec, LabelModel):
        name, verdict = "label", {"type": "string", "enum": spec.labels}
    else:
        low, high = spec.range
        name, verdict = "result", {"type": "number", "description": f"from {low:g} to {high:g}"}
    return {
        "type": "object",
        "properties": {"steps": STEPS, name: verdict},
        "required": ["steps", name],
        "additionalProperties": False,
    }


def _read_object(text: str) -> dict[str, Json]:
    """The JSON object in a reply, with or without text around it. Raises ValueError."""
    start, end = text.find("{"), text.rfind("}")
    try:
        judgement = parse_json(text[start : end + 1])
    except (ValueError, RecursionError):
        judgement = None
    if not isinstance(judgement, dict):
        raise ValueError(f"it is no JSON object but {_short(text)}")
    return judgement


def _server_fault(message: str, verdict: Verdict = Verdict.ERROR) -> FaultError:
    details = {"model_grader_server_error_details": message}
    return FaultError("model_grader_server_error", message, verdict=verdict, details=details)


def _short(value: Json) -> str:
    text = " ".join(json.dumps(value, ensure_ascii=False).split())
    return text if len(text) <= SHOWN_TEXT else f"{text[:SHOWN_TEXT]}…"
