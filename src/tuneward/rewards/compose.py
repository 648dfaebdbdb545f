"""Several graders as one reward: gates first, then the weighted sum of all parts.

Source: Bedrock RFT contract, 4.4: cheap deterministic checks (format, safety) and a length penalty before the judge.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from tuneward.config import ComposeConfig, GraderConfig, LengthPenaltyConfig, PartConfig
from tuneward.errors import GraderError
from tuneward.rewards.place import relocate
from tuneward.rewards.usage import total_usage
from tuneward.types import Grader, Json, Receipt, Sample, Score

THREADS_PER_PART = 8
"""Calls to one part at the same time; as many as a rollout makes to its grader."""
MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class Part:
    """One grader of a composition."""

    name: str
    config: PartConfig
    grader: Grader

    @property
    def is_needed(self) -> bool:
        """The reward depends on it; a part that only measures may fail without harm."""
        return self.config.weight != 0 or self.config.gate is not None

    def score(self, samples: list[Sample]) -> list[Score]:
        """The grader's scores; raises GraderError, as it does, in the name of this part."""
        try:
            return self.grader.score(samples)
        except GraderError as error:
            raise GraderError(self.tell(str(error))) from error

    def tell(self, message: str) -> str:
        """A message of the grader, in the name of this part and with its settings where they stand."""
        return f"part {self.name}: {relocate(message, f'reward.compose.parts.{self.name}')}"

    def contribution(self, reward: float) -> float:
        """What a score adds to the weighted sum."""
        if self.config.range is not None:
            low, high = self.config.range
            reward = (min(max(reward, low), high) - low) / (high - low)
        return self.config.weight * reward


def build_composition(config: ComposeConfig, build: Callable[[GraderConfig], Grader]) -> ComposedGrader:
    """Build every part; the caller closes the composition, and with it the parts.

    Args:
        config: the parts and how their scores are put together.
        build: builds the grader of one part.

    Raises:
        GraderError: a part cannot be built; those already built are closed.
    """
    with ExitStack() as built:
        parts = []
        for name, part in config.parts.items():
            try:
                grader = build(part)
            except GraderError as error:
                raise GraderError(relocate(str(error), f"reward.compose.parts.{name}")) from error
            built.callback(grader.close)
            parts.append(Part(name, part, grader))
        composed = ComposedGrader(config, parts)
        built.pop_all()
    return composed


class ComposedGrader:
    """Scores samples with several graders; `Grader` of `types.py`.

    Every part's score is a metric of the part's name, and its own metrics follow as `part/metric`; a part that only
    measures also says as `part/failed` whether it failed. `gated` is 1 where a gate decided, `length_penalty` what
    was taken off. `details["parts"]` holds a summary of each part's receipt.

    Args:
        config: how scores are put together.
        parts: in the order of the configuration; closed with the composition.
    """

    def __init__(self, config: ComposeConfig, parts: Sequence[Part]) -> None:
        self._config = config
        self._parts = tuple(parts)
        self._gates = [part for part in parts if part.config.gate is not None]
        self._others = [part for part in parts if part.config.gate is None]
        self._weights = sum(part.config.weight for part in parts) if config.normalize else 1.0
        self._name = f"compose@{_identity(config, parts)[:8]}"
        self._components = frozenset(part.name for part in parts if part.is_needed)
        threads = min(MOST_THREADS, THREADS_PER_PART * max(1, len(self._others) - 1))
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compose")

    @property
    def name(self) -> str:
        """`compose` and a hash over every part's name, grader and settings, and how they are put together."""
        return self._name

    def score(self, samples: list[Sample]) -> list[Score]:
        """One Score per sample; a part's failure makes the sample failed, in the part's name.

        Raises:
            GraderError: a part cannot score anything at all, or the composition is closed.
        """
        found: list[dict[str, Score]] = [{} for _ in samples]
        going = list(range(len(samples)))
        for gate in self._gates:
            self._ask([gate], samples, going, found)
            going = [index for index in going if _passes(gate, found[index][gate.name])]
        self._ask(self._others, samples, going, found)
        return [self._put_together(sample, scores) for sample, scores in zip(samples, found, strict=True)]

    def close(self) -> None:
        """Close every part; calls under way end as failed. Safe to call twice."""
        with ExitStack() as all_parts:
            all_parts.callback(self._pool.shutdown)
            for part in self._parts:
                all_parts.callback(part.grader.close)

    def _ask(
        self, parts: Sequence[Part], samples: Sequence[Sample], indices: Sequence[int], found: list[dict[str, Score]]
    ) -> None:
        """Have parts score the samples at `indices` at the same time, and note their scores in `found`."""
        if not parts or not indices:
            return
        asked = [samples[index] for index in indices]
        first, *rest = parts
        others = [self._submit(part, asked) for part in rest]
        answers = [first.score(asked), *(other.result() for other in others)]
        for part, scores in zip(parts, answers, strict=True):
            for index, score in zip(indices, scores, strict=True):
                found[index][part.name] = score

    def _submit(self, part: Part, samples: list[Sample]) -> Future[list[Score]]:
        try:
            return self._pool.submit(part.score, samples)
        except RuntimeError:  # how a pool says that it is shut down
            raise GraderError(f"{self.name}: the grader is closed. Build another one.") from None

    def _put_together(self, sample: Sample, scores: Mapping[str, Score]) -> Score:
        asked = [part for part in self._parts if part.name in scores]
        failed = next((part for part in asked if part.is_needed and scores[part.name].is_failed), None)
        gate = next((part for part in asked if part in self._gates and not _passes(part, scores[part.name])), None)
        metrics = _metrics(asked, scores)
        if failed is not None:
            reward = math.nan
            receipt = scores[failed.name].receipt
            receipt = replace(receipt, grader=self.name, message=failed.tell(receipt.message))
        else:
            reward = self._reward(sample, asked, scores, metrics) if gate is None else self._config.gate_reward
            receipt = replace(_slowest(scores.values()), grader=self.name)
            if self._gates:
                metrics["gated"] = float(gate is not None)
        return Score(
            sample.id, reward, receipt, metrics, self._components & metrics.keys(), self._details(asked, scores)
        )

    def _reward(
        self, sample: Sample, parts: Sequence[Part], scores: Mapping[str, Score], metrics: dict[str, float]
    ) -> float:
        """The weighted sum, less the penalty, within the bounds."""
        weighed = [part for part in parts if part.config.weight]
        reward = sum(part.contribution(scores[part.name].reward) for part in weighed) / self._weights
        if self._config.length_penalty is not None:
            metrics["length_penalty"] = penalty = length_penalty(len(sample.completion), self._config.length_penalty)
            reward -= penalty
        if self._config.clip is not None:
            reward = min(max(reward, self._config.clip[0]), self._config.clip[1])
        return reward

    @staticmethod
    def _details(parts: Sequence[Part], scores: Mapping[str, Score]) -> dict[str, Json]:
        details: dict[str, Json] = {"parts": {part.name: _summary(part, scores[part.name]) for part in parts}}
        usage = total_usage(scores.values())
        return details | ({"usage": usage} if usage else {})


def length_penalty(characters: int, config: LengthPenaltyConfig) -> float:
    """What a completion of so many characters loses. Source: soft overlong punishment, DAPO, arXiv 2503.14476, 13."""
    over = (characters - config.free_characters) / (config.full_characters - config.free_characters)
    return config.weight * min(max(over, 0.0), 1.0)


def _passes(gate: Part, score: Score) -> bool:
    """False too when the gate failed: then nothing that follows could save the sample."""
    return not score.is_failed and gate.config.gate is not None and score.reward >= gate.config.gate


def _metrics(parts: Sequence[Part], scores: Mapping[str, Score]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for part in parts:
        score = scores[part.name]
        metrics |= {f"{part.name}/{name}": value for name, value in score.metrics.items()}
        if not score.is_failed:
            metrics[part.name] = score.reward
        if not part.is_needed:
            metrics[f"{part.name}/failed"] = float(score.is_failed)
    return metrics


def _slowest(scores: Iterable[Score]) -> Receipt:
    """The receipt of the part that the sample waited for longest, failures of parts that only measure aside."""
    return max((score.receipt for score in scores if not score.is_failed), key=lambda receipt: receipt.wall_s)


def _summary(part: Part, score: Score) -> dict[str, Json]:
    """What of a part's score a reader may want beside its metrics."""
    receipt = score.receipt
    summary: dict[str, Json] = {
        "grader": receipt.grader,
        "verdict": str(receipt.verdict),
        "message": part.tell(receipt.message) if receipt.message else "",
        "attempts": receipt.attempts,
        "wall_s": receipt.wall_s,
    }
    if not score.is_failed:
        summary |= {"score": score.reward, "contribution": part.contribution(score.reward)}
    return summary | ({"details": dict(score.details)} if score.details else {})


def _identity(config: ComposeConfig, parts: Sequence[Part]) -> str:
    """SHA-256 over what scores depend on; limits and places of files are no part of it."""
    settings = {"weight", "gate", "range", "reference_answer"}
    whole = {
        "parts": [[part.name, part.grader.name, part.config.model_dump(include=settings)] for part in parts],
        "settings": config.model_dump(exclude={"parts"}),
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
