"""One judgement of one completion: ask, read, and ask again once when the answer cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from tuneward.rewards.judge.client import ModelClient, ModelError, Reply
from tuneward.rewards.judge.prompt import repair_messages
from tuneward.rewards.judge.request import one_line
from tuneward.rewards.judge.rubric import Header
from tuneward.rewards.judge.verdict import Judgement, UnreadableError, read_judgement, verdict_schema
from tuneward.types import Verdict

REFUSED, UNREADABLE, FAILED = "model_grader_refusal_error", "model_grader_parse_error", "model_grader_server_error"
MISSING = "invalid_variable_error"
"""Flags of `Score.details["errors"]`. Source: OpenAI grader contract, 5.12."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a vote asks."""

    model: str
    messages: list[dict[str, str]]
    max_tokens: int
    temperature: float
    seed: int | None


@dataclass(frozen=True, slots=True)
class Vote:
    """How it ended, with what it cost."""

    judgement: Judgement | None
    """None when it failed."""
    verdict: Verdict = Verdict.OK
    message: str = ""
    """Why it failed, in a sentence or two."""
    flag: str = ""
    replies: tuple[Reply, ...] = ()
    attempts: int = 0
    """Questions put to the judge, those without a reply included."""

    @property
    def latency_s(self) -> float:
        """Seconds of all replies together."""
        return sum(reply.latency_s for reply in self.replies)


def ask(client: ModelClient, header: Header, question: Question) -> Vote:
    """The judge's vote; what goes wrong is in it."""
    replies: list[Reply] = []
    messages = question.messages

    def failed(verdict: Verdict, message: str, flag: str) -> Vote:
        attempts = len(replies) + (flag == FAILED)
        return Vote(None, verdict, message, flag, tuple(replies), attempts)

    while True:
        try:
            reply = client.complete(
                messages,
                model=question.model,
                schema=verdict_schema(header),
                max_tokens=question.max_tokens,
                temperature=question.temperature,
                seed=question.seed,
            )
        except ModelError as error:
            return failed(Verdict.TIMEOUT if error.kind == "timeout" else Verdict.ERROR, str(error), FAILED)
        replies.append(reply)
        if reply.refusal is not None:
            return failed(Verdict.INVALID, f"The judge {reply.model} refused: {one_line(reply.refusal)}.", REFUSED)
        try:
            return Vote(read_judgement(reply.text, header), replies=tuple(replies), attempts=len(replies))
        except UnreadableError as error:
            if len(replies) == 2:
                return failed(Verdict.INVALID, _unreadable(reply, str(error)), UNREADABLE)
            messages = repair_messages(messages, reply.text, str(error))


def _unreadable(reply: Reply, reason: str) -> str:
    if reply.is_truncated:
        return (
            f"The verdict of the judge {reply.model} was cut after {reply.completion_tokens} tokens. "
            "Raise judge.max_tokens."
        )
    shown = one_line(reply.text) or "no text"
    return f"The judge {reply.model} gave no verdict that can be read, twice: {reason}. It said: {shown}."
