"""What a user may name as a grader, and what may be expected of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuneward.config import GraderConfig, RewardConfig, load_config
from tuneward.errors import ConfigError
from tuneward.rewards.bench.asking import Nature

FUNCTION_PREFIX = "function:"
MODEL_GRADERS = ("score_model", "label_model")
"""Types of OpenAI graders that ask a model."""
REACHES_OUT = re.compile(
    rb"^\s*(?:import|from)\s+(?:boto3|openai|anthropic|requests|httpx|aiohttp|urllib|socket|litellm)\b", re.MULTILINE
)
"""A file that imports one of these may ask a model, so it need not repeat itself exactly."""


def find_target(name: str, data: Path) -> RewardConfig:
    """The reward that a user names on the command line.

    Args:
        name: a configuration file with a reward section, a Python file, a JSON file with a grader of the OpenAI API,
            a ready-made template, `function:NAME`, an ARN, or a URL.
        data: the dataset; a configuration file may leave its own out.

    Raises:
        ConfigError: a configuration file is wrong, or there is no such file.
    """
    path = Path(name).expanduser()
    suffix = path.suffix.lower()
    if re.match(r"https?://", name):
        # Whoever types an address means it, on this machine and its network too.
        return _reward(name, endpoint={"url": name, "allow_private": True})
    if name.startswith("arn:"):
        return _reward(name, function=name)
    if name.startswith(FUNCTION_PREFIX):
        return _reward(name, function=name.removeprefix(FUNCTION_PREFIX))
    if suffix in (".yaml", ".yml"):
        return _of_configuration(path, data)
    if suffix == ".json":
        return _reward(name, openai=str(path))
    if suffix == ".py":
        return _reward(name, file=str(path))
    if path.exists() or "/" in name:
        raise ConfigError(
            f"{name}: not a grader; give a .yaml configuration, a .py file, an OpenAI grader as .json, the name of a "
            "ready-made template, function:NAME, or a URL."
        )
    return _reward(name, template=name)


def nature_of(config: GraderConfig) -> Nature:
    """A judge when a model decides, unknown when one may, else a rule."""
    if isinstance(config, RewardConfig) and config.compose is not None:
        natures = {nature_of(part) for part in config.compose.parts.values()}
        return next((n for n in (Nature.JUDGE, Nature.UNKNOWN) if n in natures), Nature.RULE)
    match config.kind:
        case "judge":
            return Nature.JUDGE
        case "endpoint" | "function":
            return Nature.UNKNOWN
        case "openai":
            return Nature.JUDGE if _asks_model(config.openai) else Nature.RULE
        case "file":
            return Nature.UNKNOWN if _reaches_out(config.file) else Nature.RULE
        case _:
            return Nature.RULE


def bounds_of(config: GraderConfig) -> tuple[float, float] | None:
    """The range a configuration declares: the cut of a composition; None when it declares none."""
    return config.compose.clip if isinstance(config, RewardConfig) and config.compose else None


def without_cache(config: RewardConfig) -> RewardConfig:
    """The same reward with judges that are asked every time, so that a test sees whether they repeat themselves."""
    update: dict[str, Any] = {"on_failure": "exclude"}  # failures are to be seen, not to count as 0
    if config.judge is not None:
        update["judge"] = config.judge.model_copy(update={"cache": False})
    if config.compose is not None:
        parts = {
            name: part.model_copy(update={"judge": part.judge.model_copy(update={"cache": False})})
            if part.judge
            else part
            for name, part in config.compose.parts.items()
        }
        update["compose"] = config.compose.model_copy(update={"parts": parts})
    return config.model_copy(update=update)


def _of_configuration(path: Path, data: Path) -> RewardConfig:
    return load_config(path, base={"data": {"train": str(data), "validation": None}}).reward


def _reward(name: str, **kind: Any) -> RewardConfig:
    try:
        return RewardConfig(**kind)
    except ValidationError as error:
        raise ConfigError(f"{name}: {error.errors()[0]['msg']}.") from None


def _asks_model(grader: Path | dict[str, Any] | None) -> bool:
    if isinstance(grader, Path):
        try:
            text = grader.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return False  # building the grader says what is wrong
        return any(f'"{kind}"' in text for kind in MODEL_GRADERS)
    if isinstance(grader, dict):
        parts = grader.get("graders")
        nested = parts.values() if isinstance(parts, dict) else ()
        return grader.get("type") in MODEL_GRADERS or any(_asks_model(part) for part in nested)
    return False


def _reaches_out(file: Path | None) -> bool:
    try:
        return file is not None and REACHES_OUT.search(file.read_bytes()) is not None
    except OSError:
        return False
