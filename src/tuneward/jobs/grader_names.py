"""What the graders of a job are called, for columns and metrics that stand by grader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tuneward.config.reward import GRADER_KINDS
from tuneward.types import Json


@dataclass(frozen=True, slots=True)
class NamedGrader:
    """A grader as metrics speak of it."""

    name: str
    type: str
    metric: str
    """Where its mean reward stands in a record of `tuneward.records`."""
    model: str | None = None
    """Of a grader that is a model."""

    @property
    def has_faults(self) -> bool:
        """Records count what went wrong in it by kind."""
        return self.type not in ("lambda", *GRADER_KINDS)


def named_graders(reward: Mapping[str, Json]) -> tuple[NamedGrader, ...]:
    """The graders of a configuration's `reward`: of a `multi` grader its parts, otherwise the one there is."""
    return tuple(_named(reward))


def _named(reward: Mapping[str, Json]) -> Iterator[NamedGrader]:
    grader = reward.get("openai")
    if isinstance(reward.get("function"), str):
        yield NamedGrader(_function_name(reward["function"]), "lambda", "reward_mean")
    elif isinstance(grader, dict) and grader.get("type") == "multi":
        for name, part in _parts(grader["graders"]):
            yield NamedGrader(name, part["type"], f"metric/{name}", part.get("model"))
    elif isinstance(grader, dict):
        name = grader.get("name") or grader["type"]
        yield NamedGrader(name, grader["type"], "reward_mean", grader.get("model"))
    elif isinstance(reward.get("compose"), dict):
        for name, part in reward["compose"]["parts"].items():
            yield NamedGrader(name, _kind(part), f"metric/{name}", (part.get("judge") or {}).get("model"))
    elif kind := _kind(reward):
        yield NamedGrader(kind, kind, "reward_mean", (reward.get("judge") or {}).get("model"))


def _kind(grader: Mapping[str, Json]) -> str:
    return next((kind for kind in GRADER_KINDS if grader.get(kind) is not None), "")


def _parts(graders: Json) -> Iterator[tuple[str, Json]]:
    """Of a map, or of a list of graders with names."""
    if isinstance(graders, dict):
        yield from graders.items()
    else:
        for part in graders:
            yield part["name"], part


def _function_name(function: str) -> str:
    """`arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]` → NAME."""
    return function.partition(":function:")[2].partition(":")[0] or function.partition(":")[0]
