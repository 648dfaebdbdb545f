"""What several votes on one completion come to."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median, median_low

from tuneward.config import ConnectionConfig
from tuneward.rewards.judge.rubric import Header, Scale
from tuneward.rewards.judge.verdict import criterion_value, on_scale, reward_of
from tuneward.rewards.judge.vote import Vote
from tuneward.rewards.usage import usage_of
from tuneward.types import Json


@dataclass(frozen=True, slots=True)
class CastVote:
    """A vote, and whether it was cast before, for the same completion."""

    vote: Vote
    is_cached: bool


def measure(votes: list[CastVote]) -> dict[str, float]:
    """What the votes took, as metrics.

    `judge_cached` is the share of votes that were cast before. `judge_latency_s` is that of the slowest vote, since
    votes are asked for at the same time; it is left out when nobody answered.
    """
    asked = [cast.vote for cast in votes if not cast.is_cached]
    metrics = {"judge_cached": 1 - len(asked) / len(votes)}
    if any(vote.replies for vote in asked):
        metrics["judge_latency_s"] = max(vote.latency_s for vote in asked)
    return metrics


def usage(votes: list[CastVote], connection: ConnectionConfig) -> dict[str, float]:
    """Calls and tokens that the votes cost; one that was cast before costs nothing."""
    replies = [reply for cast in votes if not cast.is_cached for reply in cast.vote.replies]
    prompts, answers = (
        sum(reply.prompt_tokens for reply in replies),
        sum(reply.completion_tokens for reply in replies),
    )
    cached = sum(reply.cached_tokens for reply in replies)
    return usage_of(len(replies), prompts, answers, connection) | {"cached_tokens": cached}


def decide(
    votes: list[CastVote], header: Header, scale: Scale
) -> tuple[float, dict[str, float], dict[str, Json]] | Vote:
    """Reward, metrics and details; or the first failed vote, unless more than half of the votes can be used.

    The reward is the median of the votes' rewards. Metrics are each criterion (0 to 1, mean of the votes),
    `judge_score` (the judges' own score, 0 to 1, where the reward comes from criteria), `judge_passed` (where the
    rubric says what passes) and `judge_spread` (largest reward minus smallest, with more than one vote). Details show
    the vote in the middle.
    """
    judgements = [cast.vote.judgement for cast in votes if cast.vote.judgement is not None]
    if len(judgements) * 2 <= len(votes):
        return next(cast.vote for cast in votes if cast.vote.judgement is None)
    rewards = [reward_of(judgement, header, scale) for judgement in judgements]
    reward = median(rewards)
    metrics = {
        name: fmean(criterion_value(judgement.criteria[name], criterion) for judgement in judgements)
        for name, criterion in header.criteria.items()
    }
    if header.score_from == "criteria":
        metrics["judge_score"] = fmean(on_scale(judgement.score, scale) for judgement in judgements)
    if header.pass_at is not None:
        metrics["judge_passed"] = float(reward >= header.pass_at)
    if len(votes) > 1:
        metrics["judge_spread"] = max(rewards) - min(rewards)
    shown = judgements[rewards.index(median_low(rewards))]
    details: dict[str, Json] = {
        "reasoning": shown.reasoning,
        "criteria": dict(shown.criteria),
        "score": shown.score,
        "votes": rewards,
    }
    return reward, metrics, details
