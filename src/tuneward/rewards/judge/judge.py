"""Grader that asks a model for a verdict by a rubric. Source: Bedrock RFT contract, 4.4, 4.7, 4.8."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace

from tuneward.config.reward import GraderConfig, JudgeConfig
from tuneward.errors import GraderError, did_you_mean
from tuneward.rewards.judge.cache import Cache
from tuneward.rewards.judge.client import ModelClient, build_client
from tuneward.rewards.judge.injection import suspicions
from tuneward.rewards.judge.prompt import RULES, judge_messages
from tuneward.rewards.judge.rubric import Rubric, load_rubric, parse_rubric
from tuneward.rewards.judge.tally import CastVote, decide, measure, usage
from tuneward.rewards.judge.threads import DaemonThreads
from tuneward.rewards.judge.variables import RESPONSE, MissingVariableError, as_text, values_of
from tuneward.rewards.judge.vote import FAILED, MISSING, Question, Vote, ask
from tuneward.types import Json, Receipt, Sample, Score, Verdict


@dataclass(frozen=True, slots=True)
class _Case:
    """A sample under judgement."""

    sample: Sample
    suspicions: list[str]
    votes: list[tuple[Future[Vote], bool]]
    """Each with whether it was there before."""


class JudgeGrader:
    """`Grader` of `types.py`; all completions given at once are judged at the same time.

    Args:
        config: the judge, and how it is reached; the limits are those of `connection`.
        client: in place of the one that `config` asks for; closed with the grader either way.

    Raises:
        GraderError: the rubric cannot be used, a variable is unknown, or the client lacks a key or a package.
    """

    def __init__(self, config: GraderConfig, *, client: ModelClient | None = None) -> None:
        assert config.judge is not None
        self._judge = config.judge
        self._connection = config.connection
        self._rubric = rubric_of(config.judge)
        _check_fields(self._judge.variables, self._rubric)
        self._scale = config.judge.scale or self._rubric.header.scale
        if self._scale[1] <= self._scale[0]:
            raise GraderError("judge.scale: the highest score must be above the lowest. Correct it.")
        self._limits = {"timeout_s": config.connection.timeout_s}
        self._name = f"judge:{self._rubric.name}@{_hash(self._rubric.digest, RULES, self._judge.model_dump())[:8]}"
        self._client = client or build_client(config.connection)
        self._threads: DaemonThreads[Vote] = DaemonThreads(config.connection.concurrency, "judge")
        self._cache: Cache[Vote] = Cache(lambda vote: vote.judgement is not None)
        self._closed = threading.Event()

    @property
    def name(self) -> str:
        """The rubric's name, and a hash over it and the judge's settings."""
        return self._name

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One Score per sample, in their order; any thread may call.

        An empty completion gets 0 without a call. What could not be judged has reward NaN, the reason in its receipt,
        and a flag in `details["errors"]`. See `tally.py` for the metrics; `injection_suspected` is 1 for a completion
        that seems to address its grader.

        Raises:
            GraderError: the grader is closed.
        """
        if self._closed.is_set():
            raise GraderError(f"{self.name}: the grader is closed. Build another one.")
        cases = [self._start(sample) for sample in samples]
        return [case if isinstance(case, Score) else self._finish(case) for case in cases]

    def close(self) -> None:
        """Give up calls under way, which end as failed, and close the client. Safe to call twice."""
        self._closed.set()
        self._threads.close()
        self._client.close()

    def _start(self, sample: Sample) -> _Case | Score:
        if not sample.completion.strip():
            details = {"reasoning": "The completion is empty; the judge was not asked."}
            return Score(sample.id, 0.0, self._receipt([]), {"injection_suspected": 0.0}, details=details)
        try:
            values = values_of(sample, self._rubric.variables, self._judge.variables)
        except MissingVariableError as error:
            return self._failed(sample, Vote(None, Verdict.INVALID, str(error), MISSING), self._receipt([]))
        given = [as_text(message.get("content")) for message in sample.row.messages]
        given += [text for name, text in values.items() if name != RESPONSE]
        messages = judge_messages(self._rubric, values, self._scale)
        votes = [self._ask(messages, seed) for seed in range(self._judge.votes)]
        return _Case(sample, suspicions(sample.completion, "\n".join(given)), votes)

    def _ask(self, messages: list[dict[str, str]], seed: int) -> tuple[Future[Vote], bool]:
        is_sampled = self._judge.votes > 1
        question = Question(
            model=self._judge.model,
            messages=messages,
            max_tokens=self._judge.max_tokens,
            temperature=1.0 if is_sampled else 0.0,
            seed=seed if is_sampled else None,
        )

        def start() -> Future[Vote]:
            return self._threads.submit(lambda: ask(self._client, self._rubric.header, question))

        if not self._judge.cache:
            return start(), False
        # The messages hold rubric, scale and the text of every variable; a grader has one model.
        return self._cache.get(_hash(messages, seed), start)

    def _finish(self, case: _Case) -> Score:
        votes = [CastVote(self._wait(future), is_cached) for future, is_cached in case.votes]
        receipt = self._receipt(votes)
        metrics = {"injection_suspected": float(bool(case.suspicions)), **measure(votes)}
        details: dict[str, Json] = {"judge": self._judge.model, "usage": usage(votes, self._connection)}
        if case.suspicions:
            details["suspicions"] = case.suspicions
        decided = decide(votes, self._rubric.header, self._scale)
        if isinstance(decided, Vote):
            return self._failed(case.sample, decided, receipt, metrics, details)
        reward, judged, reasons = decided
        components = self._rubric.header.criteria if self._rubric.header.score_from == "criteria" else ()
        return Score(case.sample.id, reward, receipt, judged | metrics, frozenset(components), reasons | details)

    def _wait(self, future: Future[Vote]) -> Vote:
        try:
            return future.result()
        except CancelledError:
            return Vote(None, Verdict.ERROR, "The judge was not waited for, because the grader was closed.", FAILED)
        except Exception as error:  # Clients may come from elsewhere; what they raise must not cost other samples.
            return Vote(None, Verdict.ERROR, f"The judge could not be asked ({type(error).__name__}: {error}).", FAILED)

    def _failed(
        self,
        sample: Sample,
        vote: Vote,
        receipt: Receipt,
        metrics: dict[str, float] | None = None,
        details: dict[str, Json] | None = None,
    ) -> Score:
        receipt = replace(receipt, verdict=vote.verdict, message=vote.message)
        errors = {"errors": {vote.flag: True}}
        return Score(sample.id, math.nan, receipt, metrics or {}, details=(details or {}) | errors)

    def _receipt(self, votes: list[CastVote]) -> Receipt:
        asked = [cast.vote for cast in votes if not cast.is_cached]
        return Receipt(
            self.name,
            Verdict.OK,
            attempts=sum(vote.attempts for vote in asked),
            wall_s=max((vote.latency_s for vote in asked), default=0.0),
            limits=self._limits,
            isolation="remote",
        )


def rubric_of(judge: JudgeConfig) -> Rubric:
    """The rubric that a judge goes by. Raises GraderError when it cannot be used."""
    return load_rubric(judge.rubric) if judge.rubric_text is None else parse_rubric(judge.rubric_text)


def _check_fields(fields: dict[str, str], rubric: Rubric) -> None:
    for name in fields:
        if name == RESPONSE:
            raise GraderError("judge.variables: response is always the completion. Leave it out.")
        if name not in rubric.variables:
            used = ", ".join(variable for variable in rubric.variables if variable != RESPONSE) or "none but response"
            hint = did_you_mean(name, rubric.variables) or f" (it uses {used})."
            raise GraderError(f'judge.variables: the rubric {rubric.name} uses no variable "{name}"{hint}')


def _hash(*values: Json) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
