"""The grader of a run that a grader object of the OpenAI API describes."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path

from tuneward.config import ConnectionConfig, GraderConfig
from tuneward.errors import GraderError
from tuneward.rewards.openai.assemble import Assembly
from tuneward.rewards.openai.case import case_of_sample
from tuneward.rewards.openai.outcome import Outcome, Usage, settle
from tuneward.rewards.openai.parse import InvalidGraderError, echo, parse_grader
from tuneward.rewards.usage import usage_of
from tuneward.types import Json, Receipt, Sample, Score


class OpenAIGrader:
    """Scores samples as the service would; `Grader` of `types.py`.

    What the answer did wrong is a reward of 0 with its flag in `details["errors"]`; what the grader, its judge or the
    row did wrong is a failed score, with the flag as well.

    Args:
        config: the grader object or its file, the connection to judges, isolation and limits of code.

    Raises:
        GraderError: the file cannot be read, the object is no valid grader (InvalidGraderError), its code does not
            load, or something it needs is missing.
    """

    def __init__(self, config: GraderConfig) -> None:
        try:
            self._spec = parse_grader(_read(config.openai))
        except InvalidGraderError as error:
            place = config.openai if isinstance(config.openai, Path) else "reward.openai"
            raise InvalidGraderError(f"{place}: {error}", error.param, error.code) from None
        written = json.dumps(echo(self._spec), sort_keys=True).encode()
        self._name = f"{self._spec.name}@{hashlib.sha256(written).hexdigest()[:8]}"
        self._connection = config.connection
        self._closed = threading.Event()
        self._assembly = Assembly(self._spec, config)

    @property
    def name(self) -> str:
        """The grader's own name and a hash of its normalised form."""
        return self._name

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """One Score per sample, in their order; any thread may call.

        Raises:
            GraderError: the grader is closed.
        """
        if self._closed.is_set():
            raise GraderError(f"{self.name}: the grader is closed. Build another one.")
        evaluator = self._assembly.evaluator
        waits = [evaluator.start(case_of_sample(sample)) for sample in samples]
        return [self._score(sample, settle(wait)) for sample, wait in zip(samples, waits, strict=True)]

    def close(self) -> None:
        """End processes and calls under way. Safe to call twice."""
        self._closed.set()
        self._assembly.close()

    def _score(self, sample: Sample, outcome: Outcome) -> Score:
        call = outcome.call
        is_failed = math.isnan(outcome.reward)
        receipt = Receipt(
            grader=self.name,
            verdict=outcome.verdict,
            message=f"Sample {sample.id}: {outcome.message}" if is_failed else "",
            attempts=outcome.attempts,
            wall_s=outcome.wall_s,
            cpu_s=call.cpu_s if call else 0.0,
            peak_memory_bytes=call.peak_memory_bytes if call else 0,
            stdout_tail=call.stdout_tail if call else "",
            stderr_tail=call.stderr_tail if call else "",
            limits=self._assembly.evaluator.limits,
            isolation=self._assembly.evaluator.isolation,
        )
        parts = {name: part.reward for name, part in outcome.parts.items() if not math.isnan(part.reward)}
        metrics = dict(parts)
        threshold = self._spec.pass_threshold
        if threshold is not None and not is_failed:
            metrics.setdefault("passed", float(outcome.reward >= threshold))
        return Score(sample.id, outcome.reward, receipt, metrics, frozenset(parts), _details(outcome, self._connection))


def _details(outcome: Outcome, connection: ConnectionConfig) -> dict[str, Json]:
    """Error flags, the reason of a real 0, tokens by judge model, and what judges said."""
    details: dict[str, Json] = {}
    if outcome.errors:
        details["errors"] = dict(outcome.errors)
        details["error"] = outcome.message
    part_errors = {name: dict(part.errors) for name, part in outcome.parts.items() if part.errors}
    if part_errors:
        details["part_errors"] = part_errors
    if outcome.usage:
        details["token_usage"] = {model: usage.as_json() for model, usage in outcome.usage.items()}
        total = sum(outcome.usage.values(), Usage())
        details["usage"] = usage_of(total.calls, total.prompt_tokens, total.completion_tokens, connection)
    reasons = {name: part.reasons for name, part in outcome.parts.items() if part.reasons is not None}
    if outcome.reasons is not None or reasons:
        details["reasons"] = reasons or outcome.reasons
    return details


def _read(openai: Path | Json) -> Json:
    """The grader object, from its file when it is one."""
    if not isinstance(openai, Path):
        return openai
    try:
        return json.loads(openai.read_bytes())
    except FileNotFoundError:
        raise GraderError(f"{openai}: no such grader file. Correct reward.openai.") from None
    except OSError as error:
        raise GraderError(f"{openai}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise GraderError(f"{openai}: not JSON ({error}). reward.openai names a file with one grader object.") from None
